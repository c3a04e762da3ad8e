"""The witnesses of the market's log: who they are, asking them, what they said."""
