// `muster query`

import CommandLineKit
import JSON
import OperatorClient

enum QueryCommand {
    static let spec = CommandSpec(
        name: "query", summary: "Ask a question about devices, twins and job results",
        arguments: [
            ArgumentSpec(name: "query", help: "a statement of the query language, such as SELECT * FROM devices")
        ],
        options: [ServiceOptions.limit(default: nil), ServiceOptions.json] + ServiceOptions.all,
        examples: [
            "muster query \"SELECT deviceId, tags.floor FROM devices WHERE tags.building = '43'\"",
            "muster query \"SELECT tags.building, COUNT() AS devices FROM devices GROUP BY tags.building\" --json",
            "muster query \"SELECT * FROM devices.jobs WHERE devices.jobs.status = 'failed'\"",
        ])

    static let run: Action = { command, context in
        let client = try ServiceOptions.client(command, context)
        defer { client.close() }
        let listing = Listing(command, context)
        let pages = client.query(command.argument("query"), pageSize: listing.pageSize)
        var table = ItemTable()
        try await listing.print(pages, nothing: "Nothing found.") { table.make($0, $1) }
        return .success
    }
}
