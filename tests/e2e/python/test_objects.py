"""Files, batches and vector stores."""

import tempfile
from pathlib import Path

import openai
from harness import ASYNC, BINARY, SYNC, AsyncGatewayTest, ClientTest, with_each


@with_each(SYNC)
class Objects(ClientTest):
    title = "objects"

    def test_file(self):
        """a binary file is uploaded, listed, read byte for byte, and deleted"""
        made = self.client.files.create(file=("data.bin", BINARY), purpose="user_data")
        self.assertEqual((made.filename, made.bytes), ("data.bin", len(BINARY)))
        self.assertIn(made.id, [file.id for file in self.client.files.list()])
        self.assertEqual(self.client.files.retrieve(made.id).purpose, "user_data")
        self.assertEqual(self.client.files.content(made.id).read(), BINARY)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "copy.bin")
            with self.client.files.with_streaming_response.content(made.id) as answer:
                answer.stream_to_file(path)
            self.assertEqual(path.read_bytes(), BINARY)
        self.assertTrue(self.client.files.delete(made.id).deleted)
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.files.retrieve(made.id)
        self.assertEqual(caught.exception.param, "id")

    def test_processing(self):
        """the SDK waits until a file is processed"""
        made = self.client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
        self.assertEqual(self.client.files.wait_for_processing(made.id).status, "processed")

    def test_large_file(self):
        """a file of 3 MiB comes back as it was sent"""
        content = BINARY * 1049
        made = self.client.files.create(file=("large.bin", content), purpose="user_data")
        self.assertEqual(made.bytes, len(content))
        self.assertEqual(self.client.files.content(made.id).read(), content)

    def test_batch(self):
        """a batch is created, retrieved, listed and cancelled"""
        file = self.client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
        options = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        made = self.client.batches.create(input_file_id=file.id, **options)
        self.assertEqual(self.client.batches.retrieve(made.id).input_file_id, file.id)
        self.assertIn(made.id, [batch.id for batch in self.client.batches.list()])
        self.assertEqual(self.client.batches.cancel(made.id).status, "cancelling")

    def test_vector_store(self):
        """a vector store gets a file"""
        file = self.client.files.create(file=("a.txt", b"text"), purpose="assistants")
        store = self.client.vector_stores.create(name="a store")
        self.client.vector_stores.files.create(store.id, file_id=file.id)
        self.assertEqual([entry.id for entry in self.client.vector_stores.files.list(store.id)], [file.id])
        self.assertTrue(self.client.vector_stores.delete(store.id).deleted)


@with_each(ASYNC)
class AsyncObjects(AsyncGatewayTest):
    title = "objects"

    async def test_file(self):
        """a binary file is uploaded, read byte for byte, and deleted"""
        async with self.connect() as client:
            made = await client.files.create(file=("data.bin", BINARY), purpose="user_data")
            self.assertEqual((await client.files.content(made.id)).content, BINARY)
            self.assertTrue((await client.files.delete(made.id)).deleted)
