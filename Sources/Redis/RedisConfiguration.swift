// How to reach Redis (or Valkey), and the limits of one process' client.

package struct RedisConfiguration: Sendable {
    /// See `RedisEndpoint` for the forms.
    package var url: String
    /// From the call to the answer, with a reconnect in it.
    package var commandTimeout: Duration
    /// One attempt to connect.
    package var connectTimeout: Duration
    /// Calls that may wait for the connection at the same time; one more gets `.unavailable` at once.
    package var maximumPending: Int
    /// Blocking commands at the same time; each has a connection of its own.
    package var maximumBlocking: Int

    package init(
        url: String = "redis://127.0.0.1:6379", commandTimeout: Duration = .seconds(5),
        connectTimeout: Duration = .seconds(2), maximumPending: Int = 10_000, maximumBlocking: Int = 64
    ) {
        self.url = url
        self.commandTimeout = commandTimeout
        self.connectTimeout = connectTimeout
        self.maximumPending = maximumPending
        self.maximumBlocking = maximumBlocking
    }

    /// From `REDIS_URL`; without it the server's usual port on this machine.
    package static func url(environment: [String: String]) -> String {
        environment["REDIS_URL"] ?? "redis://127.0.0.1:6379"
    }
}
