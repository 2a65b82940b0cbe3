"""A stored photo is posted: once, at once, whatever order things come in."""


async def test_a_stored_photo_is_posted_with_its_bytes(home, until) -> None:
    """Bytes without a manifest are posted all the same; the row has the message's id, the record its time."""
    async with home.bridge():
        photo = home.archive.new_photo()
        home.archive.store(photo)
        message = (await home.discord.wait_for_messages(1))[0]
        assert message.attachments[0].data == photo.data
        record = await until(lambda: (r := home.archive.record(photo)).stages.posted and r)
        assert record.deliveries[0].message_id == message.id
        assert record.deliveries[0].state == "posted"
        assert record.deliveries[0].attempts == 1
