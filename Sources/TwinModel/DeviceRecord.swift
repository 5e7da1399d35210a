// What the registry knows of a device and its twin, and the two documents that clients see of it (wire contract 4.1 and
// 6.2). Times are microseconds since 1970.

package import JSON

package struct DeviceRecord: Sendable, Hashable {
    package let deviceID: DeviceID
    package let generationID: String
    package let etag: Int64
    package let status: IdentityStatus
    package let statusReason: String?
    package let statusUpdatedTime: Int64?
    package let authenticationType: AuthenticationType
    /// Standard base64; never logged.
    package let primaryKey: String?
    package let secondaryKey: String?
    package let primaryThumbprint: String?
    package let secondaryThumbprint: String?
    package let isEdge: Bool
    package let modelID: String
    package let createdTime: Int64
    package let isConnected: Bool
    package let connectionStateUpdatedTime: Int64?
    package let lastActivityTime: Int64?

    package init(
        deviceID: DeviceID, generationID: String, etag: Int64, status: IdentityStatus, statusReason: String?,
        statusUpdatedTime: Int64?, authenticationType: AuthenticationType, primaryKey: String?, secondaryKey: String?,
        primaryThumbprint: String?, secondaryThumbprint: String?, isEdge: Bool, modelID: String, createdTime: Int64,
        isConnected: Bool, connectionStateUpdatedTime: Int64?, lastActivityTime: Int64?
    ) {
        self.deviceID = deviceID
        self.generationID = generationID
        self.etag = etag
        self.status = status
        self.statusReason = statusReason
        self.statusUpdatedTime = statusUpdatedTime
        self.authenticationType = authenticationType
        self.primaryKey = primaryKey
        self.secondaryKey = secondaryKey
        self.primaryThumbprint = primaryThumbprint
        self.secondaryThumbprint = secondaryThumbprint
        self.isEdge = isEdge
        self.modelID = modelID
        self.createdTime = createdTime
        self.isConnected = isConnected
        self.connectionStateUpdatedTime = connectionStateUpdatedTime
        self.lastActivityTime = lastActivityTime
    }

    /// The contract's "never".
    package static let never = "0001-01-01T00:00:00Z"

    package var connectionState: String { isConnected ? "Connected" : "Disconnected" }

    private func thumbprints() -> JSONValue {
        [
            "primaryThumbprint": primaryThumbprint.map { .string($0) } ?? .null,
            "secondaryThumbprint": secondaryThumbprint.map { .string($0) } ?? .null,
        ]
    }

    /// The identity, keys included: what `/devices/{id}` answers.
    package func document(timestamp: (Int64) -> String) -> JSONObject {
        func time(_ microseconds: Int64?) -> JSONValue { .string(microseconds.map(timestamp) ?? Self.never) }
        var document = JSONObject()
        document["deviceId"] = .string(deviceID.text)
        document["generationId"] = .string(generationID)
        document["etag"] = .string(ETag.identity(etag))
        document["connectionState"] = .string(connectionState)
        document["status"] = .string(status.rawValue)
        document["statusReason"] = statusReason.map { .string($0) } ?? .null
        document["connectionStateUpdatedTime"] = time(connectionStateUpdatedTime)
        document["statusUpdatedTime"] = time(statusUpdatedTime)
        document["lastActivityTime"] = time(lastActivityTime)
        document["cloudToDeviceMessageCount"] = 0
        document["authentication"] = [
            "symmetricKey": [
                "primaryKey": primaryKey.map { .string($0) } ?? .null,
                "secondaryKey": secondaryKey.map { .string($0) } ?? .null,
            ],
            "x509Thumbprint": thumbprints(),
            "type": .string(authenticationType.rawValue),
        ]
        document["capabilities"] = ["iotEdge": .bool(isEdge)]
        return document
    }

    /// The members of a twin document that come from the identity and the session.
    fileprivate func twinHead(etag twinETag: Int64, version: Int64, timestamp: (Int64) -> String) -> JSONObject {
        func time(_ microseconds: Int64?) -> JSONValue { .string(microseconds.map(timestamp) ?? Self.never) }
        var document = JSONObject()
        document["deviceId"] = .string(deviceID.text)
        document["etag"] = .string(ETag.twin(twinETag))
        document["deviceEtag"] = .string(ETag.identity(etag))
        document["status"] = .string(status.rawValue)
        if let statusReason { document["statusReason"] = .string(statusReason) }
        document["statusUpdateTime"] = time(statusUpdatedTime)
        document["connectionState"] = .string(connectionState)
        document["lastActivityTime"] = time(lastActivityTime)
        document["cloudToDeviceMessageCount"] = 0
        document["authenticationType"] = .string(authenticationType.rawValue)
        document["x509Thumbprint"] = thumbprints()
        document["modelId"] = .string(modelID)
        document["version"] = .integer(version)
        return document
    }
}

package struct TwinRecord: Sendable, Hashable {
    package let device: DeviceRecord
    package let etag: Int64
    package let desiredVersion: Int64
    package let reportedVersion: Int64
    package let tags: JSONObject
    package let desired: JSONObject
    package let reported: JSONObject
    package let desiredMetadata: JSONObject
    package let reportedMetadata: JSONObject

    package init(
        device: DeviceRecord, etag: Int64, desiredVersion: Int64, reportedVersion: Int64, tags: JSONObject,
        desired: JSONObject, reported: JSONObject, desiredMetadata: JSONObject, reportedMetadata: JSONObject
    ) {
        self.device = device
        self.etag = etag
        self.desiredVersion = desiredVersion
        self.reportedVersion = reportedVersion
        self.tags = tags
        self.desired = desired
        self.reported = reported
        self.desiredMetadata = desiredMetadata
        self.reportedMetadata = reportedMetadata
    }

    /// The contract's `version` fits every published twin as this sum.
    package var version: Int64 { etag + reportedVersion }

    /// The twin as the service side sees it.
    package func document(timestamp: (Int64) -> String) -> JSONObject {
        var document = device.twinHead(etag: etag, version: version, timestamp: timestamp)
        if !tags.isEmpty { document["tags"] = .object(tags) }
        document["properties"] = [
            "desired": .object(
                TwinMetadata.rendered(
                    desired, section: .desired, metadata: desiredMetadata, version: desiredVersion,
                    created: device.createdTime, timestamp: timestamp)),
            "reported": .object(
                TwinMetadata.rendered(
                    reported, section: .reported, metadata: reportedMetadata, version: reportedVersion,
                    created: device.createdTime, timestamp: timestamp)),
        ]
        document["capabilities"] = ["iotEdge": .bool(device.isEdge)]
        return document
    }
}
