// Every limit of the HTTP server and client with the reason for its number (invariant I9). What exceeds one is answered
// with the status named there.

package struct HTTPLimits: Sendable {
    /// 414, or 400 when not even the method is readable. The longest sensible target is a list call with a
    /// continuation token: about 1 KB. 16 KB is what proxies in front allow at most.
    package var requestLineBytes = 16 * 1024
    /// 431. A SAS token is about 300 bytes and SDKs send some ten fields; proxies add a few.
    package var headerBytes = 32 * 1024
    /// 431. As many as common servers allow.
    package var headerCount = 100
    /// 413. The largest legal body is a bulk of 100 devices with full twins: 100 × 40 KB of tags and desired
    /// properties.
    package var bodyBytes = 4 * 1024 * 1024
    /// 400. Longest line of a chunk: a size and extensions, which nobody sends.
    package var chunkLineBytes = 256
    /// 400. All bytes of chunk extensions and trailers of one request, so that a small body cannot cost gigabytes.
    package var chunkOverheadBytes = 16 * 1024
    /// 503. Received bytes of all unfinished requests of one server: 64 largest bodies at the same time.
    package var bufferedBytes = 256 * 1024 * 1024
    /// Accepting pauses at this number, and goes on when a connection closes. A connection costs a descriptor and
    /// some kilobytes with TLS; the SDKs open one per request and close it.
    package var connections = 10_000
    /// 408. From the first byte of a request (or from the connection's start) to the end of its headers: a slow client
    /// on a slow network needs two seconds, an attacker as long as we let him.
    package var headerTimeout: Duration = .seconds(15)
    /// 408. From the end of the headers to the end of the body: 4 MB at 70 KB/s.
    package var bodyTimeout: Duration = .seconds(60)
    /// Between requests the connection is closed after this; longer than the keep-alive of common proxies' pools
    /// (60 s), so that they close first and never meet a closing connection.
    package var idleTimeout: Duration = .seconds(75)
    /// The connection is dropped when the client takes no byte of a response for this long.
    package var writeTimeout: Duration = .seconds(30)
    /// Requests on one connection before it is closed, so that a balancer can spread long-lived clients anew.
    package var requestsPerConnection = 100_000
    /// Client: the largest response that is read; a page of 100 full twins is 8 MB.
    package var responseBytes = 64 * 1024 * 1024

    package init() {}
}
