// A reference to something that lives on one event loop, which other threads may carry but not open.

package struct LoopBound<Value>: @unchecked Sendable {
    // Unchecked, because `Value` need not be Sendable: `value(on:)` proves at run time that it is on its own loop.
    private let bound: Value
    package let loop: EventLoop

    package init(_ value: Value, on reactor: Reactor) {
        bound = value
        loop = reactor.loop
    }

    package func value(on reactor: Reactor) -> Value {
        precondition(reactor.loop === loop, "a value of another event loop")
        return bound
    }
}
