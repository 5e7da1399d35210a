// Random numbers that depend on nothing but the seed, the device, what they are for, and a running number. A device then
// behaves the same whatever the others do and in whichever order the network lets them, and needs no state for it.

package struct DeviceRandom: Sendable {
    /// What a number decides.
    package enum Purpose: UInt64, Sendable {
        case offline = 1
        case silent
        case flapping
        case failure
        case latency
        case reconnect
        case flap
        case token
        case report
    }

    package let seed: UInt64

    package init(seed: UInt64) { self.seed = seed }

    /// Uniform in 0 ..< 1.
    package func unit(_ purpose: Purpose, device: Int, index: Int = 0) -> Double {
        var state = seed
        for part in [UInt64(bitPattern: Int64(device)), purpose.rawValue, UInt64(bitPattern: Int64(index))] {
            state = Self.mix(state ^ Self.mix(part &+ 0x9E37_79B9_7F4A_7C15))
        }
        return Double(state >> 11) * 0x1p-53
    }

    /// The finalizer of SplitMix64.
    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// What a device is like for the whole simulation.
package struct DeviceTraits: Sendable, Equatable {
    /// Never connects.
    package let isOffline: Bool
    /// Receives calls and never answers one.
    package let isSilent: Bool
    /// Leaves and comes back again and again.
    package let isFlapping: Bool

    /// The three are drawn independently of each other, each device for itself: of many devices nearly the wanted share.
    package init(_ shares: Shares, _ random: DeviceRandom, device: Int) {
        isOffline = random.unit(.offline, device: device) < shares.offline
        isSilent = random.unit(.silent, device: device) < shares.silent
        isFlapping = random.unit(.flapping, device: device) < shares.flapping
    }

    package struct Shares: Sendable, Equatable {
        package var offline = 0.0
        package var silent = 0.0
        package var flapping = 0.0

        package init(offline: Double = 0, silent: Double = 0, flapping: Double = 0) {
            self.offline = offline
            self.silent = silent
            self.flapping = flapping
        }
    }
}

package enum Share {
    /// `0.25` or `25%`; nil for what is no share from 0 to 1.
    package static func parse(_ text: String) -> Double? {
        let isPercent = text.hasSuffix("%")
        let digits = isPercent ? text.dropLast() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2E }),
            let value = Double(digits)
        else { return nil }
        let share = isPercent ? value / 100 : value
        return share <= 1 ? share : nil
    }
}
