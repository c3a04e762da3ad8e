"""A provider's side: one command makes a machine a node that earns.

    tiers       what kinds of node there are, and what each usually asks
    probe       what this machine can do, measured
    join        keys, the market's runner, and the machine as a node of a market
    offers      the signed price and policy of a node: published, withdrawn
    agent       takes jobs until it is told to stop
    leases      what the node holds; courier: how bytes travel; execution: how jobs run
    heartbeat, reporter, slices     what the market is told, and the proof of it

A node calls the market and is never called, so it may sit behind any NAT. Data of
enclave and homomorphic jobs passes through here sealed or encrypted; logs carry ids.
"""
