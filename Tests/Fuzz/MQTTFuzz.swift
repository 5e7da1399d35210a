// mqtt: a stream of packets decodes to the same however it is cut, and its packets come back from their own bytes.
// topics: what the hub's topics and user names are read as is written as a topic that reads the same.

import MQTT

func fuzzMQTT(_ bytes: [UInt8]) {
    let whole = decode([bytes[...]])
    let cut = decode(pieces(of: bytes))
    precondition(whole.packets == cut.packets && whole.error == cut.error, "the result depends on the cut")
    let inPlace = decode(pieces(of: bytes), inPlace: true)
    precondition(whole.packets == inPlace.packets && whole.error == inPlace.error, "it depends on where it is read")
    for packet in whole.packets {
        if case .connect(let connect) = packet, !connect.isSupported { continue }
        precondition(decode([packet.encoded[...]]).packets == [packet], "a packet does not come back from its bytes")
        if case .publish(let publish) = packet { fuzzTopics(Array(publish.topic.utf8)) }
    }
}

private func decode(_ pieces: [ArraySlice<UInt8>], inPlace: Bool = false) -> (packets: [MQTTPacket], error: MQTTError?)
{
    // Small enough to be exceeded.
    var decoder = MQTTDecoder(packetLimit: 2048)
    var packets: [MQTTPacket] = []
    do throws(MQTTError) {
        for piece in pieces {
            let bytes = Array(piece)
            var offset = 0
            if !inPlace { decoder.append(bytes) }
            while let packet = try inPlace ? decoder.next(in: bytes.span, at: &offset) : decoder.next() {
                packets.append(packet)
            }
        }
        return (packets, nil)
    } catch {
        precondition(decoder.bufferedCount == 0, "a dead decoder holds bytes")
        return (packets, error)
    }
}

func fuzzTopics(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    let id = "d1"
    if let publish = DevicePublish(topic: text, deviceID: id) {
        precondition(DevicePublish(topic: publish.topic(deviceID: id), deviceID: id) == publish)
    }
    if let publish = HubPublish(topic: text) { precondition(HubPublish(topic: publish.topic) == publish) }
    if let known = HubSubscription(filter: text, deviceID: id) {
        precondition(known.filter(deviceID: id).utf8.elementsEqual(text.utf8))
    }
    if let name = HubUserName(text) {
        precondition(!name.host.isEmpty && !name.deviceID.isEmpty)
        precondition(name.host.utf8.count + name.deviceID.utf8.count < text.utf8.count)
    }
}
