// What the two servers are started with, where they answer, and how to see that they do.

private import Foundation
import Postgres
import Redis
import ServiceKit

extension DevCluster {
    func initdbCommand(_ site: Site, passwordFile: String) -> [String] {
        // Who can enter the socket directory is the owner; over loopback anybody can come, so a password.
        site.installation.command(
            [
                site.installation.initdb, "--pgdata=\(site.directory.postgresData)", "--username=muster",
                "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256",
                "--pwfile=\(passwordFile)",
            ] + (options.isEphemeral ? ["--no-sync"] : []))
    }

    func postgresCommand(_ site: Site) -> [String] {
        var settings = [
            "checkpoint_timeout": "15min", "fsync": "on", "listen_addresses": "127.0.0.1", "log_timezone": "UTC",
            "max_connections": "200", "max_wal_size": "4GB", "port": "\(site.ports.postgres)",
            "shared_buffers": "256MB",
            "synchronous_commit": "on", "timezone": "UTC", "unix_socket_directories": site.directory.sockets,
            "unix_socket_permissions": "0700",
        ]
        settings.merge(options.postgresSettings) { $1 }
        let arguments = settings.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0.key)=\($0.value)"] }
        return site.installation.command([site.installation.postgres, "-D", site.directory.postgresData] + arguments)
    }

    func redisCommand(_ site: Site) -> [String] {
        site.installation.command([
            site.installation.redis, "--bind", "127.0.0.1", "--port", "\(site.ports.redis)", "--dir",
            site.directory.redisData,
            "--unixsocket", "\(site.directory.sockets)/redis", "--unixsocketperm", "700", "--requirepass",
            site.directory.password, "--appendonly", "no", "--maxmemory-policy", "noeviction", "--daemonize", "no",
            // A clean stop writes what is there, so that a restart finds it; a crash loses it, which is allowed.
            "--save", options.isEphemeral ? "" : "3600 1",
            // One for each test of a run; an unused database costs some hundred bytes.
            "--databases", "1000",
        ])
    }

    func addresses(_ site: Site) -> Addresses {
        Addresses(
            postgres: "host=\(site.directory.sockets) port=\(site.ports.postgres) user=muster dbname=muster",
            postgresTCP: "postgresql://muster:\(site.directory.password)@127.0.0.1:\(site.ports.postgres)/muster",
            redis: "unix://:\(site.directory.password)@\(site.directory.sockets)/redis",
            redisTCP: "redis://:\(site.directory.password)@127.0.0.1:\(site.ports.redis)/0",
            postgresPort: site.ports.postgres, redisPort: site.ports.redis, socketDirectory: site.directory.sockets,
            password: site.directory.password)
    }

    func awaitPostgres(_ addresses: Addresses) async throws {
        let pool = PostgresPool(
            PostgresConfiguration(
                connectionString: addresses.postgres.replacingOccurrences(of: "dbname=muster", with: "dbname=postgres"),
                maximumConnections: 1, statementTimeout: options.startTimeout),
            clock: clock, random: random, log: .silent, metrics: Metrics())
        do {
            try await Self.createDatabase(pool)
        } catch {
            await pool.close()
            throw error
        }
        await pool.close()
    }

    private static func createDatabase(_ pool: PostgresPool) async throws {
        let find = Statement("find_database", PackageResources.find_database_sql)
        let create = Statement("create_database", PackageResources.create_database_sql)
        guard try await pool.run(find).isEmpty else { return }
        try await pool.run(create)
    }

    func awaitRedis(_ addresses: Addresses) async throws {
        let client = try RedisClient(
            RedisConfiguration(url: addresses.redis, commandTimeout: options.startTimeout), clock: clock,
            random: random, log: .silent, metrics: Metrics())
        do {
            _ = try await client.command(["PING"])
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }
}
