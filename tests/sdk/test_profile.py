from pathlib import Path

from sdk.profile import MARKET_URL, Profile


def test_defaults_need_no_variables() -> None:
    profile = Profile.of({"HOME": "/home/alice"})
    assert profile.market_url == MARKET_URL
    assert profile.key_path == Path("/home/alice/.config/sixfold/consumer.key")
    assert profile.is_default_key


def test_variables_are_read() -> None:
    profile = Profile.of(
        {
            "SIXFOLD_MARKET": "http://market.test",
            "SIXFOLD_KEY": "/keys/a.key",
            "SIXFOLD_CACHE_DIR": "/cache",
        }
    )
    assert profile.market_url == "http://market.test"
    assert (profile.key_path, profile.cache) == (Path("/keys/a.key"), Path("/cache"))
    assert not profile.is_default_key


def test_settings_folder_follows_the_standard() -> None:
    named = Profile.of({"HOME": "/home/a", "XDG_CONFIG_HOME": "/etc/a"})
    assert named.key_path == Path("/etc/a/sixfold/consumer.key")
    relative = Profile.of({"HOME": "/home/a", "XDG_CONFIG_HOME": "not/absolute"})
    assert relative.key_path == Path("/home/a/.config/sixfold/consumer.key")
