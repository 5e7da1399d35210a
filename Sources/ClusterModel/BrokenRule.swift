// Rules that are broken on purpose, so that a test can show that the simulation's checks catch them: mutations of the
// statements and scripts here, and of what the simulated processes do. Each names the invariant that it breaks.

package enum BrokenRule: String, Sendable, CaseIterable {
    // I1
    /// patch_batch closes a batch without counting what it recorded.
    case patchForgetsToCount
    /// return_batches gives back the batch as if nothing of it had been recorded.
    case returnForgetsWhatIsDone
    /// park_items leaves the batch's count of open items.
    case parkForgetsOpen
    // I2
    /// finish_job does not ask whether batches are open.
    case finishWithOpenBatches
    /// end_batches writes over outcomes that are there.
    case endOverwritesOutcomes
    // I3
    /// patch_batch does not test the fence.
    case patchUnderAnyFence
    /// return_batches leaves the fence, and claim_batches does not raise it.
    case claimKeepsTheFence
    /// record_results does not test the fence.
    case resultsUnderAnyFence
    // I4
    /// patch_batch patches the twins of items that have an outcome, too.
    case patchRepeats
    /// patch_batch commits the twins first and the outcomes in a second transaction, which can fail.
    case patchInTwoCommits
    // I5
    /// insert_dispatches records nothing.
    case dispatchUnrecorded
    /// Who takes a batch over sends without asking.
    case takeoverWithoutAsking
    /// The gateway forgets its ledger when a session ends.
    case gatewayForgets
    /// A worker whose part's fate is open hands it over again under the next number.
    case openPushRepeated
    /// A gateway that leaves ends before it has told its outcomes.
    case gatewayLeavesSilently
    /// The end of a cancelled job calls items cancelled whose call is under way.
    case endHidesCalls
    /// The gateway takes a part whatever its fence and number.
    case gatewayTakesOldParts
    // I6
    /// The sweep never takes a batch from a silent worker.
    case sweepWithoutReclaim
    /// A worker that drains keeps what it has not begun.
    case drainKeepsBatches
    /// Ready batches are offered once.
    case offerOnlyOnce
    /// find_unleased and offer_batches believe a lease that Redis' clock, set back since, cannot have given.
    case leaseOutlivesItsClock
    // I7
    /// patch_batch tests neither the job's state nor its epoch.
    case patchAfterCancel
    /// insert_dispatches tests neither the job's state nor its epoch.
    case dispatchAfterCancel
    /// The gateway writes however late it is.
    case gatewaySendsLate
    // I8
    /// take_batches and renew_leases take the time from the worker.
    case leaseByWorkersClock
    // I9
    /// wake puts a token however many wait.
    case wakeWithoutLimit
    /// push_message and push_part fill an inbox without limit.
    case inboxWithoutLimit
    /// The end of a job wakes the leader although it found nothing to end.
    case endWithoutPause
    /// claim_batches gives calls to workers that may not dispatch them any more.
    case claimWithoutTime
    /// read_next_start names moments that have passed and wait for something else.
    case nextStartOfWhatIsDue
    // I10
    /// The expansion takes a chunk whose commit nobody confirmed for written.
    case chunkTakenForWritten

    /// What each breaks; its check, and not another one, has to say so.
    package var invariant: String {
        switch self {
        case .patchForgetsToCount, .returnForgetsWhatIsDone, .parkForgetsOpen:
            "I1"
        case .finishWithOpenBatches, .endOverwritesOutcomes:
            "I2"
        case .patchUnderAnyFence, .claimKeepsTheFence, .resultsUnderAnyFence:
            "I3"
        case .patchRepeats, .patchInTwoCommits:
            "I4"
        case .dispatchUnrecorded, .takeoverWithoutAsking, .gatewayForgets, .openPushRepeated, .gatewayLeavesSilently,
            .endHidesCalls, .gatewayTakesOldParts:
            "I5"
        case .sweepWithoutReclaim, .drainKeepsBatches, .offerOnlyOnce, .leaseOutlivesItsClock:
            "I6"
        case .patchAfterCancel, .dispatchAfterCancel, .gatewaySendsLate:
            "I7"
        case .leaseByWorkersClock:
            "I8"
        case .wakeWithoutLimit, .inboxWithoutLimit, .endWithoutPause, .claimWithoutTime, .nextStartOfWhatIsDue:
            "I9"
        case .chunkTakenForWritten:
            "I10"
        }
    }
}
