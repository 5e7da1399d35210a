// Goal: digests are what the standards and the SAS contract say. Method: published vectors.

import Crypto
import Testing

@Suite struct HashingTests {
    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    @Test func sha256MatchesPublishedVectors() {
        #expect(hex(Hashing.sha256([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            hex(Hashing.sha256(Array("abc".utf8)))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func sha1MatchesPublishedVectors() {
        #expect(hex(Hashing.sha1([])) == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        #expect(hex(Hashing.sha1(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    }

    @Test func hmacMatchesRFC4231() {
        #expect(
            hex(Hashing.hmacSHA256(key: Array("Jefe".utf8), message: Array("what do ya want for nothing?".utf8)))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        // Case 6: a key longer than the block.
        let message = Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)
        #expect(
            hex(Hashing.hmacSHA256(key: Array(repeating: 0xAA, count: 131), message: message))
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    @Test func emptyKeyIsAKeyOfItsOwn() {
        let expected = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"
        #expect(hex(Hashing.hmacSHA256(key: [], message: [])) == expected)
        _ = Hashing.hmacSHA256(key: [1, 2, 3], message: [])
        #expect(hex(Hashing.hmacSHA256(key: [], message: [])) == expected)
    }

    @Test(arguments: [
        ("localhost", "ZSKvp7NKOs6g8NO3ogqgYF06kNFNgp8huiZondDN62o="),
        ("localhost%2Fdevices%2Fdev-1", "/uUfHHifGA6i5iZVVhw8vJKSXrvoDob/yFfC+7gH1UM="),
        ("localhost%2fdevices%2fdev-1", "smH0nMcCjUEVuk577jAhwBI6wAfTLHIOqegnrrjXi8A="),
        ("localhost/devices/dev-1", "x2f0vwsSgEE9tvrhv3TGY9hrVe5/0XzBKBPqu2qQsYQ="),
    ])
    func signatureOfSASVector(resource: String, signature: String) throws {
        let key = try #require(Base64.decode("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
        #expect(key == Array(0...31))
        let message = Array("\(resource)\n1767225600".utf8)
        #expect(Base64.encode(Hashing.hmacSHA256(key: key, message: message)) == signature)
    }

    @Test func equalityLooksAtEveryByte() {
        let digest = Hashing.sha256([1])
        #expect(Hashing.areEqual(digest, digest))
        #expect(Hashing.areEqual([], []))
        #expect(!Hashing.areEqual(digest, Array(digest.dropLast())))
        for index in digest.indices {
            var other = digest
            other[index] ^= 1
            #expect(!Hashing.areEqual(digest, other))
        }
    }

    @Test func randomBytesHaveTheirCountAndDiffer() {
        #expect(SecureRandom.bytes(0).isEmpty)
        #expect(SecureRandom.bytes(32).count == 32)
        #expect(SecureRandom.bytes(32) != SecureRandom.bytes(32))
    }
}
