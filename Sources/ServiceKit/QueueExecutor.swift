// An executor over a Dispatch queue of its own: an actor on it may call blocking C functions without holding one of the
// few threads of Swift's cooperative pool.
//
// Serial Dispatch queues draw on the overcommit pool, which starts a further thread when all others block.
// DispatchSerialQueue, which would be an executor by itself, does not exist on Linux.

private import Dispatch

package final class QueueExecutor: SerialExecutor {
    private let queue: DispatchQueue

    package init(label: String) { queue = DispatchQueue(label: label) }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }
}
