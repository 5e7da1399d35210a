// What ten large jobs leave behind: rows of every table in every state that they went through, and nobody has vacuumed.

import JobStore

extension JobWorld {
    /// As ten jobs of a million devices would, but for their items, in a few statements.
    func leavePast() async throws {
        // Batches are inserted, claimed and closed; the rows that were found by the index of live batches are dead.
        try await execute(
            """
            INSERT INTO jobs (job_id, type, query_condition, action, request_digest, state, slot, start_at,
                              max_execution_seconds, deadline, started_at)
            SELECT 'past-' || n, 'scheduleDeviceMethod', '*', '{}', '\\x00', 'running', 1, now(), 3600,
                   now() + interval '1 hour', now()
            FROM generate_series(1, 10) AS n
            """)
        try await execute(
            """
            INSERT INTO work_batches (job, batch, first_seq, last_seq, open)
            SELECT job, n, n * 500, n * 500 + 499, 500 FROM jobs, generate_series(0, 1999) AS n
            WHERE job_id LIKE 'past-%'
            """)
        try await execute(
            """
            INSERT INTO dispatches (job, batch, fence, gateway, incarnation, seqs, send_before, response_ms)
            SELECT job, batch, 1, 'g', '0', ARRAY(SELECT generate_series(first_seq, last_seq)), 0, 30000
            FROM work_batches JOIN jobs USING (job) WHERE job_id LIKE 'past-%'
            """)
        try await execute(
            """
            INSERT INTO waiting (device_id, job, slot, seq)
            SELECT 'past-' || n, job, 1, n FROM jobs, generate_series(1, 2000) AS n WHERE job_id LIKE 'past-%'
            """)
        for change in [
            "state = 'claimed', fence = 1, worker = 'w', to_notify = true", "state = 'closed', open = 0",
            "to_notify = false",
        ] {
            try await execute(
                "UPDATE work_batches SET \(change) WHERE job IN (SELECT job FROM jobs WHERE job_id LIKE 'past-%')")
        }
        try await execute("DELETE FROM dispatches")
        try await execute("DELETE FROM waiting")
        for state in ["cancelling", "completed"] {
            try await execute("UPDATE jobs SET state = '\(state)' WHERE job_id LIKE 'past-%'")
        }
        // Small jobs of a year.
        try await execute(
            """
            INSERT INTO jobs (job_id, type, query_condition, action, request_digest, state, slot, start_at,
                              max_execution_seconds, deadline)
            SELECT 'small-' || n, 'scheduleUpdateTwin', '*', '{}', '\\x00', 'scheduled', 1, now() + interval '1 hour', 3600,
                   now() + interval '2 hours'
            FROM generate_series(1, 2000) AS n
            """)
        for state in ["running", "completed"] {
            try await execute("UPDATE jobs SET state = '\(state)' WHERE job_id LIKE 'small-%'")
        }
        // Beats: one row each, and its versions.
        try await execute("INSERT INTO workers (worker) VALUES ('past')")
        try await execute("INSERT INTO gateways (gateway, incarnation) VALUES ('g', '1')")
        try await execute(
            """
            DO $$ BEGIN
                FOR n IN 1..2000 LOOP
                    UPDATE workers SET seen_at = clock_timestamp();
                    UPDATE gateways SET seen_at = clock_timestamp();
                    UPDATE leaders SET expires_at = expires_at;
                END LOOP;
            END $$
            """)
    }
}
