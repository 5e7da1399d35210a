// Random conditions and value expressions over what random twins hold.

import JSON

struct RandomQuery {
    var random: QueryGenerator

    // MARK: Conditions

    mutating func condition(depth: Int) -> QueryTree {
        guard depth > 0 else { return predicate(depth: 0) }
        switch Int.random(in: 0..<10, using: &random) {
        case 0, 1: return .binary("AND", condition(depth: depth - 1), condition(depth: depth - 1))
        case 2, 3: return .binary("OR", condition(depth: depth - 1), condition(depth: depth - 1))
        case 4, 5: return .not(condition(depth: depth - 1))
        case 6: return value(depth: depth)
        default: return predicate(depth: depth)
        }
    }

    private mutating func predicate(depth: Int) -> QueryTree {
        switch Int.random(in: 0..<14, using: &random) {
        case 0: return .isIn(value(depth: depth), literals(), word: random.pick(["IN", "NIN", "NOT IN"]))
        case 1: return .isIn(.path([.name("deviceId")]), ids(), word: random.pick(["IN", "NIN", "NOT IN"]))
        case 2: return .call(random.pick(Self.tests), [value(depth: depth)])
        case 3:
            return .binary(
                comparison(), .path([.name(random.pick(["deviceId", "id"]))]),
                .literal(.string(random.pick(QueryPool.ids))))
        case 4: return .binary(comparison(), moment(), .literal(.string(random.pick(QueryPool.momentTexts))))
        case 5: return .isIn(moment(), [.literal(.string(random.pick(QueryPool.momentTexts))), literal()], word: "IN")
        case 6: return .binary(comparison(), moment(), random.chance(50) ? moment() : path())
        case 7: return .binary("=", userPath(["tags"]), literal())
        case 8: return .isIn(userPath(["tags"]), literals(), word: "IN")
        case 9: return .binary(comparison(), systemPath(), systemLiteral())
        case 10:
            return .binary(
                comparison(), condition(depth: depth / 2),
                random.chance(50) ? .literal(.bool(random.chance(50))) : path())
        default: return .binary(comparison(), value(depth: depth), value(depth: depth))
        }
    }

    private mutating func comparison() -> String { random.pick(["=", "=", "!=", "<>", "<", "<=", ">", ">="]) }

    private mutating func literals() -> [QueryTree] {
        (0..<Int.random(in: 0..<5, using: &random)).map { _ in
            random.chance(5) ? .undefined : random.chance(5) ? .literal([1, "a"]) : literal()
        }
    }

    private mutating func ids() -> [QueryTree] {
        (0..<Int.random(in: 0..<4, using: &random)).map { _ in
            random.chance(10) ? literal() : .literal(.string(random.pick(QueryPool.ids)))
        }
    }

    // MARK: Values

    mutating func value(depth: Int) -> QueryTree {
        switch Int.random(in: 0..<12, using: &random) {
        case 0, 1: return literal()
        case 2: return random.chance(30) ? .undefined : random.chance(20) ? .literal([1, "a"]) : literal()
        case 3 where depth > 0: return number(depth: depth)
        case 4 where depth > 0: return call(depth: depth)
        case 5 where depth > 0: return random.chance(30) ? condition(depth: depth - 1) : string(depth: depth)
        default: return path()
        }
    }

    /// A number if its operands are numbers.
    private mutating func number(depth: Int) -> QueryTree {
        guard depth > 0 else { return random.chance(50) ? path() : .literal(random.pick(QueryPool.numbers)) }
        switch Int.random(in: 0..<9, using: &random) {
        case 0: return .minus(number(depth: depth - 1))
        case 1: return .plus(number(depth: depth - 1))
        // The remainder is exact in both worlds for operands that are exact in decimal.
        case 2: return .binary("%", smallNumber(), smallNumber())
        case 3: return .call("POWER", [smallNumber(), smallNumber()])
        case 4:
            let name = random.pick(["ABS", "SQUARE", "CEILING", "FLOOR", "SIGN", "SQRT"])
            return .call(name, [number(depth: depth - 1)])
        case 5:
            return .call(
                random.pick(["EXP", "AS_NUMBER"]), [random.chance(50) ? smallNumber() : string(depth: depth - 1)])
        default: return .binary(random.pick(["+", "-", "*", "/"]), number(depth: depth - 1), number(depth: depth - 1))
        }
    }

    private mutating func smallNumber() -> QueryTree {
        random.chance(60)
            ? .literal(random.pick(QueryPool.small))
            : .path(random.pick([[.name("properties"), .name("desired"), .name("$version")], [.name("version")]]))
    }

    private mutating func string(depth: Int) -> QueryTree {
        guard depth > 0 else { return random.chance(50) ? path() : .literal(.string(random.pick(QueryPool.strings))) }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return .call("CONCAT", [string(depth: depth - 1), string(depth: depth - 1)])
        case 1: return .call("SUBSTRING", [string(depth: depth - 1), smallNumber()])
        case 2: return .call("SUBSTRING", [string(depth: depth - 1), smallNumber(), smallNumber()])
        default: return .call(random.pick(["LOWER", "UPPER"]), [string(depth: depth - 1)])
        }
    }

    private static let tests = [
        "IS_DEFINED", "IS_DEFINED", "IS_ARRAY", "IS_BOOL", "IS_NULL", "IS_NUMBER", "IS_OBJECT", "IS_PRIMITIVE",
        "IS_STRING",
    ]

    mutating func call(depth: Int) -> QueryTree {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return .call(random.pick(Self.tests), [value(depth: depth - 1)])
        case 1:
            return .call(
                "ARRAY_CONTAINS", [userPath(["tags"]), random.chance(70) ? literal() : value(depth: depth - 1)])
        case 2: return .call("LENGTH", [string(depth: depth - 1)])
        case 3:
            let name = random.pick(["ABS", "SQUARE", "CEILING", "FLOOR", "SIGN", "SQRT", "AS_NUMBER"])
            return .call(name, [number(depth: depth)])
        default:
            let name = random.pick(["STARTSWITH", "STARTS_WITH", "ENDSWITH", "ENDS_WITH", "CONTAINS", "INDEX_OF"])
            return .call(name, [string(depth: depth - 1), string(depth: depth - 1)])
        }
    }

    private mutating func literal() -> QueryTree {
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<4: .literal(.string(random.pick(QueryPool.strings)))
        case 4..<7: .literal(random.pick(QueryPool.numbers))
        case 7, 8: .literal(.bool(random.chance(50)))
        default: .literal(.null)
        }
    }

    // MARK: Paths

    mutating func path() -> QueryTree {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: systemPath()
        case 1: metadataPath()
        case 2, 3: userPath(["properties", "desired"])
        case 4: userPath(["properties", "reported"])
        default: userPath(["tags"])
        }
    }

    private mutating func userPath(_ root: [String]) -> QueryTree {
        var steps = root.map { QueryTree.Step.name($0) }
        for _ in 0..<random.pick([1, 1, 1, 1, 2, 2, 3]) {
            steps.append(
                random.chance(15) ? .index(Int.random(in: 0..<3, using: &random)) : .name(random.pick(QueryPool.names)))
        }
        return .path(steps)
    }

    private static let systemPaths: [[String]] = [
        ["deviceId"], ["etag"], ["deviceEtag"], ["status"], ["statusReason"], ["statusUpdateTime"], ["connectionState"],
        ["lastActivityTime"], ["cloudToDeviceMessageCount"], ["authenticationType"], ["version"], ["modelId"],
        ["capabilities"], ["capabilities", "iotEdge"], ["tags"], ["properties"], ["properties", "desired"],
        ["properties", "reported", "$version"], ["properties", "desired", "$version"], ["x509Thumbprint"],
        ["x509Thumbprint", "primaryThumbprint"], ["nosuch"], ["moduleId"], ["status", "a"], ["capabilities", "a"],
    ]

    private mutating func systemPath() -> QueryTree { .path(random.pick(Self.systemPaths).map { .name($0) }) }

    private mutating func systemLiteral() -> QueryTree {
        random.chance(20)
            ? literal()
            : .literal(
                random.pick([
                    "enabled", "Connected", "Disconnected", "sas", "AAAAAAAAAAE=", 3, 5, true, false, "dtmi:a;1",
                    "AB12", nil, 0,
                ]))
    }

    private mutating func metadataPath() -> QueryTree {
        var steps = ["properties", random.pick(["desired", "reported"]), "$metadata"]
        for _ in 0..<Int.random(in: 0..<3, using: &random) { steps.append(random.pick(QueryPool.names)) }
        if random.chance(80) { steps.append(random.pick(["$lastUpdated", "$lastUpdated", "$lastUpdatedVersion"])) }
        return .path(steps.map { .name($0) })
    }

    private mutating func moment() -> QueryTree {
        switch Int.random(in: 0..<3, using: &random) {
        case 0: return .path([.name("lastActivityTime")])
        case 1: return .path([.name("statusUpdateTime")])
        default:
            var steps = ["properties", random.pick(["desired", "reported"]), "$metadata"]
            for _ in 0..<Int.random(in: 0..<3, using: &random) { steps.append(random.pick(QueryPool.names)) }
            return .path((steps + ["$lastUpdated"]).map { .name($0) })
        }
    }
}
