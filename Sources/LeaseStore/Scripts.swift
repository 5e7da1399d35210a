// The Lua scripts of this module, loaded once. The number at the end of a file's name counts its KEYS.

internal import Redis

enum Scripts {
    static let findUnleased = RedisScript("find_unleased", PackageResources.find_unleased_1_lua)
    static let forgetJob = RedisScript("forget_job", PackageResources.forget_job_1_lua)
    static let identify = RedisScript("identify", PackageResources.identify_1_lua)
    static let offerBatches = RedisScript("offer_batches", PackageResources.offer_batches_3_lua)
    static let pruneLeases = RedisScript("prune_leases", PackageResources.prune_leases_2_lua)
    static let recreateLeases = RedisScript("recreate_leases", PackageResources.recreate_leases_3_lua)
    static let releaseLeases = RedisScript("release_leases", PackageResources.release_leases_2_lua)
    static let renewLeases = RedisScript("renew_leases", PackageResources.renew_leases_3_lua)
    static let takeBatches = RedisScript("take_batches", PackageResources.take_batches_5_lua)
    static let wake = RedisScript("wake", PackageResources.wake_1_lua)
}
