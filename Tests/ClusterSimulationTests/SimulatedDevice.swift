// A device of the simulation: connects, answers some calls late and some never, leaves and comes back elsewhere. It
// counts what it receives; that count is what invariant I5 is about.

import ClusterModel
import RouteStore
import ServiceKit

/// One connection between a device and a gateway. Either end can be gone before the other learns of it.
final class Connection {
    let device: SimulatedDevice
    let gateway: SimulatedGateway
    let life: Int
    /// As the device sees it.
    var isOpen = true
    var isAccepted = false

    init(device: SimulatedDevice, gateway: SimulatedGateway) {
        self.device = device
        self.gateway = gateway
        life = gateway.life
    }
}

final class SimulatedDevice {
    private unowned let world: World
    let id: String
    /// Never connects.
    let isAbsent: Bool
    private let isSilent: Bool
    private var connection: Connection?

    init(_ world: World, id: String, isAbsent: Bool, isSilent: Bool) {
        self.world = world
        self.id = id
        self.isAbsent = isAbsent
        self.isSilent = isSilent
    }

    private func after(_ delay: Int64, _ action: @escaping () -> Void) {
        world.events.push(at: world.now + delay, for: nil, life: 0, action)
    }

    func connect() {
        guard connection == nil, !isAbsent else { return }
        let open = world.gateways.filter(\.isListening)
        guard !open.isEmpty else { return after(.seconds(1)) { self.connect() } }
        let connection = Connection(device: self, gateway: world.random.pick(open))
        self.connection = connection
        world.note("\(self.id) connects to \(connection.gateway.name)")
        let (gateway, life) = (connection.gateway, connection.life)
        world.events.push(at: world.now + world.random.time(100...2000), for: gateway, life: life) {
            gateway.connect(connection)
        }
        // Nobody answered: the gateway is stopped, or died before it read the CONNECT.
        after(.seconds(5)) { if !connection.isAccepted { self.lost(connection) } }
    }

    /// Leaves on its own; the gateway learns of it soon or late.
    func leave(isNoticed: Bool) {
        guard let connection else { return }
        world.note("\(self.id) leaves \(connection.gateway.name)\(isNoticed ? "" : ", which does not notice")")
        self.connection = nil
        connection.isOpen = false
        let delay = isNoticed ? world.random.time(100...2000) : world.random.time(.seconds(1) ... .seconds(20))
        world.events.push(at: world.now + delay, for: connection.gateway, life: connection.life) {
            connection.gateway.closed(connection)
        }
        after(world.random.time(.milliseconds(1) ... .seconds(3))) { self.connect() }
    }

    /// The gateway's end of the connection is gone.
    func lost(_ connection: Connection) {
        connection.isOpen = false
        guard self.connection === connection else { return }
        self.connection = nil
        after(world.random.time(.milliseconds(10) ... .seconds(2))) { self.connect() }
    }

    func receive(
        _ call: UInt64, _ invocation: InvocationID, over connection: Connection, from gateway: SimulatedGateway
    ) {
        after(world.random.time(100...2000)) { [self] in
            guard connection.isOpen else { return }
            world.checker.received(invocation, by: id)
            guard !isSilent else { return }
            let isFast = world.random.chance(0.8)
            after(world.random.time(0 ... .milliseconds(isFast ? 300 : 4000))) { [self] in
                guard connection.isOpen else { return }
                let delay = world.random.time(100...2000)
                world.events.push(at: world.now + delay, for: gateway, life: connection.life) {
                    gateway.answered(call, device: self.id)
                }
            }
        }
    }
}
