// Prints pages of items as they come: as rows for people or as one JSON array for programs.

import CommandLineKit
import JSON
import OperatorClient

struct Listing {
    let context: CommandContext
    let isJSON: Bool
    /// Nil: all.
    let limit: Int?

    init(_ command: ParsedCommand, _ context: CommandContext) {
        self.context = context
        isJSON = command.flag("json")
        limit = command.optionalInteger("limit")
    }

    /// Items of a page, and no larger than what will be printed.
    var pageSize: Int { min(limit ?? OperatorClient.pageSizeMaximum, OperatorClient.pageSizeMaximum) }

    /// `render` turns one page into rows; the table widens from page to page and prints its titles once.
    func print(_ pages: Pages, nothing: String, _ render: (Pages.Page, [JSONValue]) -> TextTable) async throws {
        let console = context.console
        var (printed, hasMore) = (0, false)
        var layout = TextTable.Layout()
        if isJSON { console.write("[") }
        for try await page in pages {
            let items = Array(page.items.prefix(limit.map { $0 - printed } ?? page.items.count))
            if isJSON {
                let texts = items.enumerated().map { (printed + $0 > 0 ? ",\n " : "\n ") + $1.text }
                console.write(texts.joined())
            } else if !items.isEmpty {
                console.write(render(page, items).text(&layout))
            }
            printed += items.count
            if let limit, printed >= limit {
                hasMore = !page.isLast || items.count < page.items.count
                break
            }
        }
        if isJSON { console.write(printed > 0 ? "\n]\n" : "]\n") }
        if hasMore {
            console.note("There are more; the first \(printed) are printed. Give a higher --limit to see them.")
        }
        if printed == 0, !isJSON { console.note(nothing) }
    }
}

/// How values stand in tables.
enum Cell {
    /// `2031-05-06 07:08:09`
    static func time(_ value: JSONValue?) -> String {
        guard let text = value?.stringValue, !text.hasPrefix("0001-") else { return "-" }
        return String(text.prefix(19)).replacing("T", with: " ")
    }

    static func text(_ value: JSONValue?) -> String {
        switch value {
        case nil: "-"
        case .string(let text): text
        case .object(let object): JSONValue.object(TwinText.withoutMetadata(object)).text
        case .some(let other): other.text
        }
    }
}
