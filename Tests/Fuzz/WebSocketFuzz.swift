// websocket: a client's frames give the same bytes and events however they were cut, and nothing follows an end.

@testable import HTTP

func fuzzWebSocket(_ bytes: [UInt8]) {
    precondition(decode([bytes[...]]) == decode(pieces(of: bytes)), "the result depends on the cut")
}

private struct Decoded: Equatable {
    var data: [UInt8] = []
    /// All events but data; each with how much data came before it.
    var others: [String] = []
    var fault: WebSocketFault?
}

private func decode(_ pieces: [ArraySlice<UInt8>]) -> Decoded {
    var decoder = WebSocketDecoder()
    var decoded = Decoded()
    do throws(WebSocketFault) {
        for piece in pieces {
            var offset = 0
            let bytes = Array(piece)
            while let event = try decoder.next(bytes.span, from: &offset) {
                precondition(!(decoded.others.last?.contains("close") ?? false), "something follows the end")
                if case .data(let more) = event {
                    decoded.data += more
                } else {
                    decoded.others.append("\(decoded.data.count) \(event)")
                }
            }
        }
    } catch {
        precondition(error.text.utf8.count <= 123)
        decoded.fault = error
    }
    return decoded
}
