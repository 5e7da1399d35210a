// The SQL statements of this module, one file each in Queries/.

internal import Postgres

enum Statements {
    static let readCredentials = Statement("read_credentials", PackageResources.read_credentials_sql, isPrepared: false)
    static let openSessions = Statement("open_sessions", PackageResources.open_sessions_sql, isPrepared: false)
    static let closeSessions = Statement("close_sessions", PackageResources.close_sessions_sql, isPrepared: false)
    static let storeSubscriptions = Statement(
        "store_subscriptions", PackageResources.store_subscriptions_sql, isPrepared: false)
    static let recordActivity = Statement("record_activity", PackageResources.record_activity_sql, isPrepared: false)
    static let findLostSessions = Statement(
        "find_lost_sessions", PackageResources.find_lost_sessions_sql, isPrepared: false)
    static let readDeviceTwins = Statement(
        "read_device_twins", PackageResources.read_device_twins_sql, isPrepared: false)
    static let listChangedDesired = Statement(
        "list_changed_desired", PackageResources.list_changed_desired_sql, isPrepared: false)
    static let lockReported = Statement("lock_reported", PackageResources.lock_reported_sql, isPrepared: false)
    static let writeReported = Statement("write_reported", PackageResources.write_reported_sql, isPrepared: false)
    static let joinGateways = Statement("join_gateways", PackageResources.join_gateways_sql)
    static let recordBeat = Statement("record_beat", PackageResources.record_beat_sql)
    static let leaveGateways = Statement("leave_gateways", PackageResources.leave_gateways_sql)
}
