// Goal: one text per byte string, both ways. Method: RFC 4648 vectors, a list of refusals, every short length.

import Crypto
import Testing

@Suite struct Base64Tests {
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func vectors(plain: String, encoded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(plain.utf8))
    }

    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zh==", "Zm9=", "Zm8=Zm8=", "Zm 9", "Zm9v\n", "Zm-v", "Zm_v",
        "Zm9é", "Zg==Zg==",
    ])
    func refused(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test func everyLengthComesBack() {
        for count in 0...100 {
            let bytes = SecureRandom.bytes(count)
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
    }
}
