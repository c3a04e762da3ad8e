"""The demonstration: a market, four nodes, sensitive data, and an audit."""
