// The codes of the wire contract's 9.3 that this service answers with. A client recognises one only if the header
// `iothub-errorcode` and the body agree, so both are made from here.

package import JSON

package enum ErrorCode: Int, Sendable, CaseIterable {
    case genericBadRequest = 400_000
    case invalidProtocolVersion = 400_001
    case argumentInvalid = 400_004
    case argumentNull = 400_005
    case deviceDefinedMultipleTimes = 400_011
    case deserializationError = 400_012
    case bulkRegistryOperationFailure = 400_013
    case iotHubUnauthorizedAccess = 401_002
    case deviceMaximumInflightMethodExceeded = 403_800
    case genericNotFound = 404_000
    case deviceNotFound = 404_001
    case jobNotFound = 404_002
    case moduleNotFound = 404_010
    case deviceNotOnline = 404_103
    case genericMethodNotAllowed = 405_000
    case operationNotAllowedInCurrentState = 405_102
    case genericRequestTimeout = 408_000
    case genericConflict = 409_000
    case deviceAlreadyExists = 409_001
    case jobAlreadyExists = 409_104
    case preconditionFailed = 412_001
    case messageTooLarge = 413_001
    case genericTargetTooLong = 414_000
    case genericExpectationFailed = 417_000
    case genericUpgradeRequired = 426_000
    case throttlingMaxActiveJobCountExceeded = 429_004
    case genericHeadersTooLarge = 431_000
    case serverError = 500_001
    case genericBadGateway = 502_000
    case serviceUnavailable = 503_001
    case serverBusy = 503_005
    case gatewayTimeout = 504_101
    case genericVersionNotSupported = 505_000

    package var status: Int { rawValue / 1000 }

    package var name: String {
        switch self {
        case .iotHubUnauthorizedAccess: "IotHubUnauthorizedAccess"
        default:
            // The case names are the contract's names with a small first letter.
            String(describing: self).prefix(1).uppercased() + String(describing: self).dropFirst()
        }
    }
}

/// How the body of an error is written (wire contract 9.1).
package enum ErrorForm: Sendable {
    /// Registry, jobs, queries, authentication: `ErrorCode:<Name>;<text>`.
    case plain
    /// Twins and methods: `Message` holds a JSON text.
    case nested
}

/// A request that is answered with an error. `text` names the field, the limit and what was given.
package struct APIError: Error, Sendable, Equatable {
    package let code: ErrorCode
    package let text: String
    /// Sent as `Retry-After`: clients then repeat by themselves.
    package let retryAfterSeconds: Int?
    /// Sent as `Allow` with a 405 for a known path.
    package let allowedMethods: [String]
    /// Stands as `info` in a nested body.
    package let info: JSONObject?

    package init(
        _ code: ErrorCode, _ text: String, retryAfterSeconds: Int? = nil, allowedMethods: [String] = [],
        info: JSONObject? = nil
    ) {
        self.info = info
        self.code = code
        self.text = text
        self.retryAfterSeconds = retryAfterSeconds
        self.allowedMethods = allowedMethods
    }
}
