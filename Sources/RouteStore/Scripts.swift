// The Lua scripts of this module, loaded once. The number at the end of a file's name counts its KEYS.

internal import Redis

enum Scripts {
    static let beatGateway = RedisScript("beat_gateway", PackageResources.beat_gateway_2_lua)
    static let findRoutes = RedisScript("find_routes", PackageResources.find_routes_2_lua)
    static let publishRoutes = RedisScript("publish_routes", PackageResources.publish_routes_2_lua)
    static let pushMessage = RedisScript("push_message", PackageResources.push_message_1_lua)
    static let pushPart = RedisScript("push_part", PackageResources.push_part_4_lua)
    static let withdrawRoutes = RedisScript("withdraw_routes", PackageResources.withdraw_routes_1_lua)
}
