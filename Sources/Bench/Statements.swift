// The SQL statements of the benchmarks, one file each in Queries/. The bare forms share none with the product.

internal import Postgres

enum Statements {
    static let bareExpand = Statement("bare_expand", PackageResources.bare_expand_sql)
    static let barePatch = Statement("bare_patch", PackageResources.bare_patch_sql)
    static let checkpoint = Statement("checkpoint", PackageResources.checkpoint_sql)
    static let createBareItems = Statement("create_bare_items", PackageResources.create_bare_items_sql)
    static let dropBareItems = Statement("drop_bare_items", PackageResources.drop_bare_items_sql)
    static let fillDevices = Statement("fill_devices", PackageResources.fill_devices_sql)
    static let findRows = Statement("find_rows", PackageResources.find_rows_sql)
    static let listBatchesOf = Statement("list_batches_of", PackageResources.list_batches_of_sql)
    static let readCallsInFlight = Statement("read_calls_in_flight", PackageResources.read_calls_in_flight_sql)
    static let readCancel = Statement("read_cancel", PackageResources.read_cancel_sql)
    static let readClock = Statement("read_clock", PackageResources.read_clock_sql)
    static let readJobStarts = Statement("read_job_starts", PackageResources.read_job_starts_sql)
    static let readJobTimes = Statement("read_job_times", PackageResources.read_job_times_sql)
    static let readJobsSeconds = Statement("read_jobs_seconds", PackageResources.read_jobs_seconds_sql)
    static let readLastDispatch = Statement("read_last_dispatch", PackageResources.read_last_dispatch_sql)
    static let readSettings = Statement("read_settings", PackageResources.read_settings_sql)
    static let readTakeover = Statement("read_takeover", PackageResources.read_takeover_sql)
    static let removeDevices = Statement("remove_devices", PackageResources.remove_devices_sql)
    static let resetJobs = Statement("reset_jobs", PackageResources.reset_jobs_sql)
    static let shallowPatch = Statement("shallow_patch", PackageResources.shallow_patch_sql)
    static let vacuumTwins = Statement("vacuum_twins", PackageResources.vacuum_twins_sql)
}
