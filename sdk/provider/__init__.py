"""A provider's side: one command makes a machine a node that earns.

    tiers           the kinds of node, and what each usually asks
    join, probe     keys, the market's runner, what this machine can do, its offer
    agent           takes jobs until it is told to stop
    executor        how a job runs, by protection
    lease, held_leases, courier     what the node may run, and its line to the market
    reporter, slices                what came of it, and the signed proof

A node calls the market and is never called, so it may sit behind any NAT. Data of
enclave and homomorphic jobs passes through here sealed or encrypted; logs carry ids.
"""
