// Goal: import files of both formats give the right entries, and every mistake names its line. Method: tables of whole
// files, each also fed byte by byte, which must give the same.

import JSON
import OperatorClient
import Testing

private func parse(_ format: ImportFormat, _ text: String, step: Int) throws -> [String] {
    var parser = DeviceRecordParser(format: format)
    let bytes = Array(text.utf8)
    var items: [DeviceRecordParser.Item] = []
    for start in stride(from: 0, to: bytes.count, by: step) {
        items += try parser.append(Array(bytes[start..<min(start + step, bytes.count)]))
    }
    items += try parser.finish()
    return items.map { item in
        switch item {
        case .record(let record): "\(record.line) \(JSONValue.object(record.entry).text)"
        case .failure(let failure): "\(failure.line) \(failure.deviceID ?? "-"): \(failure.message)"
        }
    }
}

private func expect(_ format: ImportFormat, _ text: String, gives expected: [String]) throws {
    for step in [1, 7, max(1, text.utf8.count)] {
        let given = try parse(format, text, step: step)
        #expect(given == expected, "in steps of \(step) bytes: \(given)")
    }
}

private func expect(_ format: ImportFormat, _ text: String, throwsAt line: Int, _ message: String) {
    for step in [1, max(1, text.utf8.count)] {
        let error = #expect(throws: ImportFormatError.self) { try parse(format, text, step: step) }
        #expect(error?.line == line)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
}

@Suite struct CSVTests {
    @Test func cellsBecomeMembers() throws {
        try expect(
            .csv,
            "deviceId,tags.building,tags.at.floor,desired.fan.on,properties.desired.rate,status\n"
                + "a,\"43\",3,true,1.5,disabled\nb,x,,,-2e3,\n",
            gives: [
                #"2 {"id":"a","tags":{"building":"43","at":{"floor":3}},"properties":{"desired":{"fan":{"on":true},"rate":1.5}},"status":"disabled"}"#,
                #"3 {"id":"b","tags":{"building":"x"},"properties":{"desired":{"rate":-2000}}}"#,
            ])
    }

    @Test func typesOfColumns() throws {
        try expect(
            .csv,
            "tags.a:string,deviceId,tags.b:number,tags.c:boolean,tags.d:json\n"
                + "43,a,\"7\",\"true\",\"{\"\"x\"\":[1]}\"\n1,b,x,,\n1,c,,7,\n1,d,,,{\n",
            gives: [
                #"2 {"id":"a","tags":{"a":"43","b":7,"c":true,"d":{"x":[1]}}}"#,
                "3 b: tags.b:number is 'x', which is no number",
                "4 c: tags.c:boolean is '7', which is no boolean",
                "5 d: tags.d:json is '{', which is no json",
            ])
    }

    @Test func whatLooksLikeNumbersButIsNone() throws {
        try expect(
            .csv, "deviceId,tags.x\na,007\nb,1.2.3\nc,truth\nd,-\ne,99999999999999999999\nf,\"\"\ng, 1\nh,null\n",
            gives: [
                #"2 {"id":"a","tags":{"x":"007"}}"#, #"3 {"id":"b","tags":{"x":"1.2.3"}}"#,
                #"4 {"id":"c","tags":{"x":"truth"}}"#, #"5 {"id":"d","tags":{"x":"-"}}"#,
                #"6 {"id":"e","tags":{"x":"99999999999999999999"}}"#, #"7 {"id":"f","tags":{"x":""}}"#,
                #"8 {"id":"g","tags":{"x":" 1"}}"#, #"9 {"id":"h","tags":{"x":"null"}}"#,
            ])
    }

    @Test func quotesLineEndsAndByteOrderMarks() throws {
        try expect(
            .csv, "\u{FEFF}\"deviceId\",tags.x\r\n\"a,\"\"b\",\"one\r\ntwo\"\r\n\r\nc,d",
            gives: [#"2 {"id":"a,\"b","tags":{"x":"one\r\ntwo"}}"#, #"5 {"id":"c","tags":{"x":"d"}}"#])
        try expect(.csv, "deviceId\ra\rb", gives: [#"2 {"id":"a"}"#, #"3 {"id":"b"}"#])
    }

    @Test func mistakesNameTheirLineAndHideNothing() throws {
        try expect(
            .csv, "deviceId,tags.x\na\nb,1,2\n,1\nc,\"x\"y\nd,x\"y\ne,1\ne,2\n\"f\n",
            gives: [
                "2 -: 1 cells where the header names 2 columns", "3 -: 3 cells where the header names 2 columns",
                "4 -: deviceId is empty", "5 -: text follows a closing quote",
                "6 -: a quote stands inside an unquoted cell; quote the whole cell and double its quotes",
                #"7 {"id":"e","tags":{"x":1}}"#, "8 e: this device stands on line 7 already",
                "9 -: a quote is never closed",
            ])
        try expect(
            .csv, "deviceId,tags.x,tags.x.y\na,1,2\n",
            gives: ["2 a: tags.x.y lies inside a column that holds a value of its own"])
    }

    @Test(arguments: [
        ("", 1, "the input is empty"), ("a,b\n", 1, "column 1 is 'a'"), ("tags.x\n1\n", 1, "one of them deviceId"),
        ("deviceId,id\n", 1, "one of them deviceId"), ("\ndeviceId,tags.\n", 2, "column 2 is 'tags.'"),
        ("deviceId,tags.x,tags.x\n", 1, "stands twice"), ("deviceId,tags\n", 1, "column 2 is 'tags'"),
        ("\"deviceId\n", 1, "never closed"),
    ])
    func wrongHeaders(text: String, line: Int, message: String) {
        expect(.csv, text, throwsAt: line, message)
    }
}

@Suite struct NDJSONTests {
    @Test func entriesStandAsTheyAre() throws {
        try expect(
            .ndjson,
            #"{"id":"a","tags":{"x":1},"properties":{"desired":{"y":"é"}}}"# + "\r\n\n  \n"
                + #"{"deviceId":"b","importMode":"delete"}"#,
            gives: [
                #"1 {"id":"a","tags":{"x":1},"properties":{"desired":{"y":"é"}}}"#,
                #"4 {"importMode":"delete","id":"b"}"#,
            ])
    }

    @Test func mistakesNameTheirLine() throws {
        try expect(
            .ndjson, "{\"id\":\n[1]\n{}\n{\"id\":7}\n{\"id\":\"a\"}\n{\"id\":\"a\"}\n",
            gives: [
                "1 -: no JSON: the text ends where a value should stand at byte 6",
                "2 -: an array where an object should stand", "3 -: id is missing, or is no text",
                "4 -: id is missing, or is no text", #"5 {"id":"a"}"#, "6 a: this device stands on line 5 already",
            ])
    }

    @Test func aLineOfAnySizeIsSkipped() throws {
        let long = "{\"id\":\"" + String(repeating: "x", count: 1 << 20) + "\"}\n{\"id\":\"a\"}\n"
        #expect(
            try parse(.ndjson, long, step: 65_536) == ["1 -: the line is longer than 1048576 bytes", #"2 {"id":"a"}"#])
    }

    @Test(arguments: [
        (" \n{", ImportFormat.ndjson), ("\u{FEFF}{", .ndjson), ("deviceId", .csv), ("\"x", .csv), ("", nil),
    ])
    func guess(text: String, expected: ImportFormat?) {
        #expect(ImportFormat.guess(text.utf8) == expected)
    }
}
