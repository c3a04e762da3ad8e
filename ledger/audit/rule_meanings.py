"""What a breach of each rule means for whoever reads a report, in a sentence or two."""

from collections.abc import Mapping

from ledger.audit.rules import Rule

MEANINGS: Mapping[Rule, str] = {
    Rule.KEY: (
        "Without the log's key nothing can be checked. Get it from somewhere else "
        "than this copy."
    ),
    Rule.CHECKPOINT: (
        "The log has not signed what is shown here, or the key is another log's. "
        "Nothing in it counts."
    ),
    Rule.WITNESS: (
        "The log itself may be true, but too few independent parties have stated "
        "that everybody is shown the same one."
    ),
    Rule.GROWTH: (
        "The log was rewritten, or shows different people different histories. Keep "
        "both checkpoints: together they are proof against its operator."
    ),
    Rule.TILE: (
        "A file of hashes is damaged or missing. Proofs made from it would fail; the "
        "statements are judged by the hashes of the entries themselves."
    ),
    Rule.BUNDLE: (
        "The statements in this file cannot be read. Problems that follow may be "
        "about what is missing here."
    ),
    Rule.ENTRY: (
        "Somebody changed this statement after the log had signed it, or the copy is "
        "damaged. It is left out of all that follows."
    ),
    Rule.ROOT: (
        "What lies here is not the whole of what the log signed. Fetch it again; if "
        "that does not help, the operator withholds or changed something."
    ),
    Rule.FILE: (
        "The copy leads elsewhere, so it is not what a copy is: files that stay as "
        "they were fetched. Fetch it again into an empty folder."
    ),
    Rule.FORM: (
        "The market took something into its log that is no statement, which an honest "
        "one refuses."
    ),
    Rule.SIGNATURE: (
        "The named party did not agree to this statement, so it binds nobody."
    ),
    Rule.COMMITMENT: (
        "Something else stands where a hidden number should. Sums over it would prove "
        "nothing, so no amount that rests on it is proved."
    ),
    Rule.MARKET: (
        "The statement is not this market's, or the log does not begin with who runs "
        "it."
    ),
    Rule.LOG_KEY: (
        "The log uses keys that it never announced, or announced out of order. Ask "
        "its operator, and do not trust what only the new keys have signed."
    ),
    Rule.PARTY: "Nobody can say who this party is; its key was never published here.",
    Rule.REPEATED: (
        "The same thing is recorded twice, so that somebody may be charged or paid "
        "twice."
    ),
    Rule.REFERENCE: (
        "What the statement rests on is not there, is closed, or is something else. "
        "What it claims does not follow."
    ),
    Rule.AGREEMENT: "The job was placed other than its order and its offer allow.",
    Rule.TARIFF: (
        "Other prices were agreed than were published, so somebody pays or earns more "
        "than was offered."
    ),
    Rule.SLICE: "The usage is not that of the job which is charged for it.",
    Rule.CHARGE: (
        "The charge pays parties or accounts that were not agreed on, so its money "
        "goes astray."
    ),
    Rule.ACCEPTANCE: (
        "The consumer is charged without having accepted, and before the time to "
        "object was over."
    ),
    Rule.RELEASE: "Held money was set free that belongs to something else.",
    Rule.RATING: "The amount is not what the agreed prices make of the usage.",
    Rule.HOLD: "More was charged or reserved than the consumer had agreed to.",
    Rule.OPENING: (
        "Whoever made the disclosure shows a value that is not the recorded one. The "
        "log itself may be true."
    ),
    Rule.PSEUDONYM: (
        "Whoever made the disclosure says whose job it was, and that account has not "
        "said so. The log itself may be true."
    ),
    Rule.TOTAL: (
        "Whoever made the disclosure shows a total that is not the sum of what was "
        "charged."
    ),
    Rule.OPENING_FORM: (
        "The disclosure is damaged, or made for another log or a later state of this "
        "one. The log itself may be true."
    ),
    Rule.OVERDRAFT: (
        "The market let somebody spend or reserve money that was not there."
    ),
    Rule.BALANCE: "Money appears or disappears in the books, or an amount is none.",
    Rule.RECEIPT_FORM: "The receipt is damaged. Ask the market for it again.",
    Rule.RECEIPT_PROOF: (
        "The receipt does not show that its charge is in the log. Ask the market for "
        "it again; if it stays so, the charge was never recorded."
    ),
    Rule.RECEIPT_LOG: (
        "The receipt is newer than this copy, or the market showed its holder another "
        "history than this one. Then keep both: they are proof against its operator."
    ),
}
