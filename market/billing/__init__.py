"""Money as the parties see it: balances, top-ups, invoices, earnings."""
