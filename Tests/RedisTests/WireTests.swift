// The wire form of commands, the bookkeeping of an exchange, script addresses, and the classification of errors.

import ServiceKit
import Testing

@testable import Redis

@Suite struct WireTests {
    @Test func commandsAreArraysOfBulkStrings() {
        let request = RedisRequest(operation: "x", [["SET", "k", .bytes([0, 13, 10])], ["INCRBY", "n", -5]])
        let expected =
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\u{0}\r\n\r\n" + "*3\r\n$6\r\nINCRBY\r\n$1\r\nn\r\n$2\r\n-5\r\n"
        #expect(request.bytes == Array(expected.utf8))
        #expect(request.count == 2)
    }

    @Test func anExchangeKnowsWhatWasAnsweredAndWhatHadLeft() {
        let requests = [
            RedisRequest(["GET", "a"]), RedisRequest(operation: "two", [["GET", "b"], ["GET", "c"]]),
            RedisRequest(["GET", "d"]),
        ]
        var exchange = RedisExchange(requests)
        exchange.written = requests[0].bytes.count + 1
        #expect((0..<3).map(exchange.hasLeft) == [true, true, false])
        #expect(exchange.answered == 0)
        exchange.take(.integer(1))
        #expect(exchange.answered == 1)
        exchange.take(.integer(2))
        #expect(exchange.answered == 1)
        exchange.take(.integer(3))
        #expect(exchange.answered == 2 && !exchange.isDone)
        exchange.take(.null)
        #expect(exchange.isDone)
        #expect(exchange.replies == [[.integer(1)], [.integer(2), .integer(3)], [.null]])
    }

    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        (String(repeating: "a", count: 119), "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"),
    ])
    func scriptsAreAddressedBySHA1(_ text: String, _ expected: String) {
        #expect(RedisScript(name: "x", text: text).sha1 == expected)
    }

    @Test(arguments: [
        ("LOADING Redis is loading the dataset in memory", StoreError.Code.unavailable, StoreError.Effect.none),
        ("READONLY You can't write against a read only replica.", .unavailable, .none),
        ("OOM command not allowed", .unavailable, .none),
        ("NOAUTH Authentication required.", .fatal, .none),
        ("WRONGTYPE Operation against a key", .fatal, .none),
    ])
    func errorReplies(_ text: String, _ code: StoreError.Code, _ effect: StoreError.Effect) {
        let error = RedisErrors.error(text, operation: "get")
        #expect(error.code == code)
        #expect(error.effect == effect)
    }

    @Test func anErrorInsideAScriptLeavesTheEffectOpen() {
        #expect(RedisErrors.error("ERR user_script:1: x", operation: "s", isScript: true).effect == .unknown)
        #expect(RedisErrors.error("BUSY Redis is busy", operation: "s", isScript: true).effect == .none)
    }
}
