// See `MusterCommand`.

await MusterCommand.main()
