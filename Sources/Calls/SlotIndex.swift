// Where in a table of slots something stands, by the hash of its key. The keys stay in the slots: a cell holds a piece of
// the hash and a slot, eight bytes, and who looks says whether a slot is the one. Built for the ledger of calls, where a
// dictionary's look-ups cost more than all else; whoever lets strangers choose keys must hash with `Hasher`.

struct SlotIndex: Sendable {
    private struct Cell: Sendable {
        var hash: UInt32
        /// Negative: nothing stands here.
        var slot: Int32
    }

    private static let vacant = Cell(hash: 0, slot: -1)
    private static let cellsAtFirst = 16

    /// A power of two; open addressing with steps of one, at most three quarters full.
    private var cells: ContiguousArray<Cell> = []
    private(set) var count = 0

    /// Every bit of the numbers counts in every bit of the hash. For keys that nobody outside chooses.
    static func hash(_ first: UInt64, _ second: UInt64 = 0, _ third: UInt64 = 0) -> UInt32 {
        var mixed = first &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 32) ^ second) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 29) ^ third) &* 0x94D0_49BB_1331_11EB
        return UInt32(truncatingIfNeeded: mixed ^ (mixed >> 32))
    }

    private var mask: Int { cells.count - 1 }

    private func cell(_ hash: UInt32, _ isWanted: (Int32) -> Bool) -> Int? {
        guard !cells.isEmpty else { return nil }
        var place = Int(hash) & mask
        while cells[place].slot >= 0 {
            if cells[place].hash == hash, isWanted(cells[place].slot) { return place }
            place = (place + 1) & mask
        }
        return nil
    }

    func slot(_ hash: UInt32, _ isWanted: (Int32) -> Bool) -> Int32? {
        cell(hash, isWanted).map { cells[$0].slot }
    }

    func forEach(_ body: (Int32) -> Void) {
        for cell in cells where cell.slot >= 0 { body(cell.slot) }
    }

    /// Adds a slot whose key is not here yet.
    mutating func insert(_ slot: Int32, _ hash: UInt32) {
        if (count + 1) * 4 > cells.count * 3 { grow() }
        put(Cell(hash: hash, slot: slot))
        count += 1
    }

    /// Another slot has the key from now on.
    mutating func replace(_ old: Int32, by new: Int32, _ hash: UInt32) {
        guard let place = cell(hash, { $0 == old }) else { return }
        cells[place].slot = new
    }

    mutating func remove(_ slot: Int32, _ hash: UInt32) {
        guard var hole = cell(hash, { $0 == slot }) else { return }
        count -= 1
        // Those behind it move up as far as where their hashes want them, so that no look-up stops at the hole.
        var place = (hole + 1) & mask
        while cells[place].slot >= 0 {
            let wanted = Int(cells[place].hash) & mask
            if (place - wanted) & mask >= (place - hole) & mask {
                cells[hole] = cells[place]
                hole = place
            }
            place = (place + 1) & mask
        }
        cells[hole] = Self.vacant
    }

    private mutating func put(_ cell: Cell) {
        var place = Int(cell.hash) & mask
        while cells[place].slot >= 0 { place = (place + 1) & mask }
        cells[place] = cell
    }

    private mutating func grow() {
        let old = cells
        cells = ContiguousArray(repeating: Self.vacant, count: max(Self.cellsAtFirst, old.count * 2))
        for cell in old where cell.slot >= 0 { put(cell) }
    }
}
