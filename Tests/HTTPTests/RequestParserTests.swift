// Goal: the parser takes what RFC 9112 allows, refuses what could be read in two ways, and never depends on how bytes
// were split. Method: each sample whole, byte by byte, cut at every point, several in a buffer; random bytes.

import ServiceKit
import Testing

@testable import HTTP

@Suite struct RequestParserTests {
    @Test(arguments: Samples.accepted)
    func accepts(sample: Sample) {
        let results = parse([Array(sample.wire.utf8)])
        #expect(results.count == 1)
        #expect(results.first?.hasPrefix("failed") == false, "\(results)")
    }

    @Test(arguments: Samples.refused)
    func refuses(sample: Sample) throws {
        let results = parse([Array(sample.wire.utf8)])
        #expect(results.last?.hasPrefix("failed \(try #require(sample.status)) ") == true, "\(results)")
        #expect(results.count == 1, "nothing before the refusal: \(results)")
    }

    @Test(arguments: Samples.accepted + Samples.refused)
    func splitsAgree(sample: Sample) {
        let wire = Array(sample.wire.utf8)
        let expected = parse([wire])
        #expect(parse(wire.map { [$0] }) == expected)
        for cut in 0...wire.count {
            #expect(parse([Array(wire[..<cut]), Array(wire[cut...])]) == expected, "cut at \(cut)")
        }
    }

    @Test func severalInOneBufferComeInOrder() {
        let kept = Samples.accepted.filter { !$0.wire.hasPrefix("\r\n") }
        let wire = Array(kept.map(\.wire).joined().utf8)
        let expected = kept.flatMap { parse([Array($0.wire.utf8)]) }
        #expect(parse([wire]) == expected)
        #expect(parse(wire.map { [$0] }) == expected)
    }

    @Test func nothingIsParsedAfterARefusal() {
        let wire = "GET / HTTP/1.1\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
        #expect(parse([Array(wire.utf8)]).count == 1)
        #expect(parse(wire.utf8.map { [$0] }).count == 1)
    }

    @Test(arguments: [SystemRandom().next(), 1, 2])
    func randomBytesDoNotTrapAndSplitsAgree(seed: UInt64) {
        let random = SeededRandom(seed: seed)
        func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        let sources = (Samples.accepted + Samples.refused).map { Array($0.wire.utf8) }
        for round in 0..<3000 {
            var wire = sources[below(sources.count)]
            if round % 3 == 0 { wire += sources[below(sources.count)] }
            for _ in 0..<below(6) where !wire.isEmpty {
                let index = below(wire.count)
                switch below(4) {
                case 0: wire[index] = UInt8(truncatingIfNeeded: random.next())
                case 1: wire.remove(at: index)
                case 2: wire.insert([0x0D, 0x0A, 0x20, 0x3A, 0x30, 0x00][below(6)], at: index)
                default: wire.removeSubrange(index...)
                }
            }
            if round % 50 == 0 { wire = (0..<below(300)).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
            var pieces: [[UInt8]] = []
            var rest = wire[...]
            while !rest.isEmpty {
                let piece = rest.prefix(1 + below(20))
                pieces.append(Array(piece))
                rest = rest.dropFirst(piece.count)
            }
            let expected = parse([wire])
            guard parse(pieces) == expected else {
                Issue.record("seed \(seed), round \(round): splits disagree on \(wire)")
                return
            }
        }
    }

    @Test func requestsAreDecoded() throws {
        let request = try #require(
            HTTPRequest(method: "GET", target: "/a%2Fb/c+d/%C3%BC/?q=a+b%2B&empty&=x&q=2&e=%3D%26"))
        #expect(request.path == "/a%2Fb/c+d/%C3%BC/")
        #expect(request.segments == ["a/b", "c+d", "ü", ""])
        #expect(request.queryValue("q") == "a b+")
        #expect(request.queryValue("empty") == "")
        #expect(request.queryValue("e") == "=&")
        #expect(request.queryValue("none") == nil)
        #expect(request.query.map(\.name) == ["q", "empty", "", "q", "e"])
        #expect(HTTPRequest(method: "GET", target: "/")?.segments == [])
        #expect(HTTPRequest(method: "GET", target: "//a")?.segments == ["", "a"])
    }

    @Test func persistenceFollowsVersionAndHeader() {
        func persistence(_ wire: String) -> String? {
            parse([Array(wire.utf8)]).first?.split(separator: " ").last.map(String.init)
        }
        #expect(persistence("GET / HTTP/1.1\r\nHost: a\r\n\r\n") == "keepAlive")
        #expect(persistence("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n") == "close")
        #expect(persistence("GET / HTTP/1.0\r\n\r\n") == "close")
        #expect(persistence("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") == "keepAliveHTTP10")
    }

    @Test func absoluteFormReplacesHost() {
        let result = parse([Array("GET http://b:80/c?d HTTP/1.1\r\nHost: a\r\n\r\n".utf8)]).first
        #expect(result == "GET /c [\"c\"] [\"d=\"] [\"Host=b:80\"]  keepAlive")
    }

    @Test func continueIsOfferedOnceAndOnlyBeforeTheBody() {
        let head = Array("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n".utf8)
        var waiting = HTTPRequestParser(limits: HTTPLimits())
        head.withUnsafeBufferPointer { waiting.append($0) }
        _ = waiting.next()
        let offers = [waiting.takeContinue(), waiting.takeContinue()]
        #expect(offers == [true, false])
        var eager = HTTPRequestParser(limits: HTTPLimits())
        (head + [0x61]).withUnsafeBufferPointer { eager.append($0) }
        _ = eager.next()
        let late = eager.takeContinue()
        #expect(!late)
    }
}
