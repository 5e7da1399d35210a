// What a gateway needs of the calls beyond what its sessions need: messages from the inbox go there, and beats tell it
// Redis' clock.

package import Calls
package import RouteStore
package import ServiceKit

package protocol GatewayDesk: CallDesk {
    func attach(_ writer: any CallWriter)
    func handle(_ part: CallPart)
    func handle(_ inquiry: Inquiry)
    func handle(_ settlement: Settlement)
    func synchronize(redisMilliseconds: Int64, sentAt: Instant)
    /// Until the task is cancelled; then tells what is still to be told.
    func run() async
}

extension GatewayCalls: GatewayDesk {}
