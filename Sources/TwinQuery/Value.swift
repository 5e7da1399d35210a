// A compiled value expression. Where the type is known before any row is read, the text has that SQL type; only paths
// into user documents are jsonb. In every text SQL NULL means undefined. JSON null is 'null'::jsonb or a literal.
//
// Texts of `json`, `timestamp` and `object` are leaves: their size does not depend on the query's nesting, so they may
// be repeated. All others stand at most once in what is built from them, or text would grow exponentially with nesting;
// `Compiler.bound` gives such an operand a name where an operation needs it twice.

enum Value {
    case constant(Literal)
    /// boolean
    case boolean(String)
    /// float8, always finite
    case number(String)
    /// text
    case string(String)
    /// A moment that is shown as text: microseconds since 1970 as bigint, and the text on the wire.
    case timestamp(microseconds: String, text: String)
    /// jsonb
    case json(String)
    /// An object that conditions can ask nothing of but whether it is there; `exists` is a boolean that may be null.
    case object(exists: String)

    static let undefined = Value.constant(.undefined)
}
