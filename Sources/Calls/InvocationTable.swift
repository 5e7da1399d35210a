// The invocations that a gateway remembers, in slots: found by id and by rid, and those without an outcome by their
// device. The rules are `InvocationLedger`'s; this is the storage, built for few look-ups and no copies a call.

internal import RouteStore
internal import ServiceKit

/// Whom the outcomes of a part or an inquiry are for. One object for all its calls.
final class InvocationAddress: Sendable {
    let replyTo: String
    let batch: Int64
    let fence: Int64
    /// Of the part that is answered; 0 for an inquiry.
    let number: Int64

    init(replyTo: String, batch: Int64, fence: Int64, number: Int64) {
        self.replyTo = replyTo
        self.batch = batch
        self.fence = fence
        self.number = number
    }
}

struct InvocationTable: Sendable {
    enum Progress: Sendable {
        case queued
        case sent(until: Instant, session: Int64)
        case ended(CallOutcome)
    }

    struct Entry: Sendable {
        fileprivate(set) var progress: Progress
        let id: InvocationID
        let deviceID: String
        let rid: UInt64
        let sendBefore: Int64
        let responseMilliseconds: Int64
        /// Whatever comes is for who asked last.
        var address: InvocationAddress
        var rememberUntil: Int64
        /// Of `deviceID`, kept for the end of the call.
        fileprivate let deviceHash: UInt32
        /// The next of the device's open calls.
        fileprivate var next: Int32?

        init(
            id: InvocationID, device: Device, rid: UInt64, sendBefore: Int64, responseMilliseconds: Int64,
            address: InvocationAddress, rememberUntil: Int64
        ) {
            progress = .queued
            self.id = id
            deviceID = device.id
            deviceHash = device.hash
            self.rid = rid
            self.sendBefore = sendBefore
            self.responseMilliseconds = responseMilliseconds
            self.address = address
            self.rememberUntil = rememberUntil
        }
    }

    /// A device's name with its hash, which is made once a call. Devices are named by strangers: so with `Hasher`.
    struct Device {
        let id: String
        fileprivate let hash: UInt32

        init(_ id: String) {
            self.id = id
            hash = UInt32(truncatingIfNeeded: id.hashValue)
        }
    }

    /// Many slots are given back when the last call goes: what a storm took.
    private static let slotsKept = 4096
    private static let vacant = Entry(
        id: InvocationID(job: 0, seq: 0, attempt: 0), device: Device(""), rid: 0, sendBefore: 0,
        responseMilliseconds: 0,
        address: InvocationAddress(replyTo: "", batch: 0, fence: 0, number: 0), rememberUntil: 0)

    private var slots: ContiguousArray<Entry> = []
    private var free: [Int32] = []
    private var byID = SlotIndex()
    private var byRID = SlotIndex()
    /// The first of each device's open calls: those that are queued or sent.
    private var byDevice = SlotIndex()
    private(set) var openCount = 0

    var count: Int { byID.count }

    private static func hash(_ id: InvocationID) -> UInt32 {
        SlotIndex.hash(
            UInt64(bitPattern: id.job), UInt64(bitPattern: id.seq), UInt64(bitPattern: id.attempt))
    }

    func slot(of id: InvocationID) -> Int32? { byID.slot(Self.hash(id)) { slots[Int($0)].id == id } }
    func slot(of rid: UInt64) -> Int32? { byRID.slot(SlotIndex.hash(rid)) { slots[Int($0)].rid == rid } }

    private func firstOpen(of device: Device) -> Int32? {
        byDevice.slot(device.hash) { slots[Int($0)].deviceID == device.id }
    }

    subscript(slot: Int32) -> Entry {
        _read { yield slots[Int(slot)] }
        _modify { yield &slots[Int(slot)] }
    }

    /// Of the device, newest first.
    func openCalls(of deviceID: String) -> [Int32] {
        var open: [Int32] = []
        var next = firstOpen(of: Device(deviceID))
        while let slot = next {
            open.append(slot)
            next = self[slot].next
        }
        return open
    }

    func openCount(of device: Device) -> Int {
        guard let first = firstOpen(of: device) else { return 0 }
        var (count, slot) = (1, first)
        while let next = self[slot].next { (count, slot) = (count + 1, next) }
        return count
    }

    func forEachOpen(_ body: (Int32, Entry) -> Void) {
        byDevice.forEach { first in
            var next: Int32? = first
            while let slot = next {
                body(slot, self[slot])
                next = self[slot].next
            }
        }
    }

    // MARK: Changes

    /// Adds a queued call.
    mutating func insert(_ entry: Entry) {
        let slot: Int32
        if let last = free.popLast() {
            slot = last
            slots[Int(slot)] = entry
        } else {
            slot = Int32(slots.count)
            slots.append(entry)
        }
        if let first = byDevice.slot(entry.deviceHash, { slots[Int($0)].deviceID == entry.deviceID }) {
            slots[Int(slot)].next = first
            byDevice.replace(first, by: slot, entry.deviceHash)
        } else {
            byDevice.insert(slot, entry.deviceHash)
        }
        byID.insert(slot, Self.hash(entry.id))
        byRID.insert(slot, SlotIndex.hash(entry.rid))
        openCount += 1
    }

    mutating func sent(_ slot: Int32, until moment: Instant, session: Int64) {
        self[slot].progress = .sent(until: moment, session: session)
    }

    /// The call has an outcome, perhaps another one than before.
    mutating func end(_ slot: Int32, _ outcome: CallOutcome) {
        close(slot)
        self[slot].progress = .ended(outcome)
    }

    mutating func remove(_ slot: Int32) {
        close(slot)
        byID.remove(slot, Self.hash(self[slot].id))
        byRID.remove(slot, SlotIndex.hash(self[slot].rid))
        slots[Int(slot)] = Self.vacant
        free.append(slot)
        if count == 0, slots.count > Self.slotsKept { self = InvocationTable() }
    }

    private mutating func close(_ slot: Int32) {
        if case .ended = self[slot].progress { return }
        let (hash, next) = (self[slot].deviceHash, self[slot].next)
        self[slot].next = nil
        openCount -= 1
        if byDevice.slot(hash, { $0 == slot }) != nil {
            if let next { byDevice.replace(slot, by: next, hash) } else { byDevice.remove(slot, hash) }
            return
        }
        let device = self[slot].deviceID
        guard var place = byDevice.slot(hash, { slots[Int($0)].deviceID == device }) else { return }
        while let other = self[place].next {
            if other == slot {
                self[place].next = next
                return
            }
            place = other
        }
    }
}

extension InvocationTable.Entry {
    /// Bytes of an answer that is kept until it is recorded.
    var largePayload: Int {
        guard case .ended(.answered(_, let payload)) = progress, payload.utf8.count > RouteLimits.smallPayloadBytes
        else { return 0 }
        return payload.utf8.count
    }

    var isOpen: Bool {
        if case .ended = progress { false } else { true }
    }

    var isUnsent: Bool {
        if case .ended(let outcome) = progress { outcome.isUnsent } else { false }
    }

    var outcome: CallOutcome {
        switch progress {
        case .queued, .sent: .inFlight
        case .ended(let outcome): outcome
        }
    }
}
