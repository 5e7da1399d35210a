// All rows of some jobs as lines of text, from PostgreSQL and from the model, in the same form and order.

import ClusterModel
import JobModel

enum ModelRows {
    static func real(_ world: JobWorld, jobs: [Int64], devices: [String]) async throws -> [String] {
        let list = jobs.map(String.init).joined(separator: ", ")
        let names = devices.map { "'\($0)'" }.joined(separator: ", ")
        var rows: [String] = []
        for query in [
            """
            SELECT concat_ws(' ', 'job', job, state, epoch, expanded_at IS NOT NULL, expired_at IS NOT NULL,
                             ended_at IS NOT NULL) AS text FROM jobs WHERE job IN (\(list)) ORDER BY job
            """,
            """
            SELECT concat_ws(' ', 'batch', job, batch, first_seq, last_seq, seqs, state, fence, epoch, open,
                             coalesce(worker, '-')) AS text
            FROM work_batches WHERE job IN (\(list)) ORDER BY job, batch
            """,
            """
            SELECT concat_ws(' ', 'item', job, seq, device_id, batch, state, attempt, coalesce(error_code, '-'),
                             response IS NOT NULL) AS text FROM work_items WHERE job IN (\(list)) ORDER BY job, seq
            """,
            """
            SELECT concat_ws(' ', 'counter', job, shard, succeeded, failed, cancelled) AS text
            FROM job_counters WHERE job IN (\(list)) ORDER BY job, shard
            """,
            """
            SELECT concat_ws(' ', 'statistics', job, devices, pending, running, succeeded, failed, cancelled) AS text
            FROM job_statistics WHERE job IN (\(list)) ORDER BY job
            """,
            """
            SELECT concat_ws(' ', 'chunk', job, chunk, term, last_device, item_count, batch_count) AS text
            FROM expansions WHERE job IN (\(list)) ORDER BY job, chunk
            """,
            """
            SELECT concat_ws(' ', 'waiting', job, seq, device_id) AS text
            FROM waiting WHERE job IN (\(list)) ORDER BY job, seq
            """,
            """
            SELECT concat_ws(' ', 'dispatch', job, batch, fence, gateway, incarnation, seqs) AS text
            FROM dispatches WHERE job IN (\(list)) ORDER BY text
            """,
            """
            SELECT concat_ws(' ', 'twin', device_id, etag - 1) AS text
            FROM twins WHERE device_id IN (\(names)) ORDER BY device_id
            """,
        ] { rows += try await world.texts(query) }
        return rows
    }

    static func model(_ model: PostgresModel, jobs: [Int64], devices: [String]) -> [String] {
        let tables = jobs.map { model.jobs[Int($0) - 1] }
        var rows = tables.map { table in
            let row = table.row
            return "job \(row.job) \(row.state) \(row.epoch) \(flag(row.isExpanded)) \(flag(row.isExpired)) "
                + flag(row.endedAt != nil)
        }
        for table in tables {
            for batch in table.batches.sorted(by: { $0.batch < $1.batch }) {
                let seqs = batch.seqs.map { " \(list($0))" } ?? ""
                rows.append(
                    "batch \(table.row.job) \(batch.batch) \(batch.firstSeq) \(batch.lastSeq)\(seqs) \(batch.state) "
                        + "\(batch.fence) \(batch.epoch) \(batch.open) \(batch.worker ?? "-")")
            }
        }
        for table in tables {
            for (seq, item) in table.items.enumerated() {
                rows.append(
                    "item \(table.row.job) \(seq) \(item.deviceID) \(item.batch) \(item.state) \(item.attempt) "
                        + "\(item.error?.rawValue ?? "-") \(flag(item.response != nil))")
            }
        }
        for table in tables {
            for (shard, counter) in table.counters.sorted(by: { $0.key < $1.key }) {
                rows.append(
                    "counter \(table.row.job) \(shard) \(counter.succeeded) \(counter.failed) \(counter.cancelled)")
            }
        }
        for table in tables {
            let all = model.statistics(of: table)
            rows.append(
                "statistics \(table.row.job) \(all.devices) \(all.pending) \(all.running) \(all.succeeded) "
                    + "\(all.failed) \(all.cancelled)")
        }
        for table in tables {
            for (chunk, row) in table.expansions.enumerated() {
                rows.append("chunk \(table.row.job) \(chunk) \(row.term) \(row.lastDevice) \(row.items) \(row.batches)")
            }
        }
        rows += model.waiting.filter { jobs.contains($0.job) }.sorted { ($0.job, $0.seq) < ($1.job, $1.seq) }.map {
            "waiting \($0.job) \($0.seq) \($0.deviceID)"
        }
        rows += model.dispatches.filter { jobs.contains($0.batch.job) }.map {
            "dispatch \($0.batch.job) \($0.batch.batch) \($0.fence) \($0.gateway) \($0.incarnation) \(list($0.seqs))"
        }.sorted()
        rows += devices.compactMap { device in
            model.twins[device].map { "twin \(device) \($0.patches.values.reduce(0, +))" }
        }
        return rows
    }

    private static func flag(_ value: Bool) -> String { value ? "t" : "f" }
    private static func list(_ values: [Int64]) -> String { "{\(values.map(String.init).joined(separator: ","))}" }
}
