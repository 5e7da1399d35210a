// The method calls and notices of an API server in a test's world.

import API
import Notices
import RouteStore
import ServiceKit
import TestKit

extension MethodInvoker {
    convenience init(_ stores: TestWorld) {
        self.init(
            address: "api-\(stores.random.next())", routes: RouteStore(redis: stores.redis), clock: stores.clock,
            random: stores.random, log: stores.log.log)
    }
}

extension DesiredNotifier {
    init(_ stores: TestWorld) { self.init(routes: RouteStore(redis: stores.redis), metrics: stores.metrics) }
}
