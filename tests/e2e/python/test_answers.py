"""Answers of every operation."""

import json
import tempfile
from pathlib import Path

import openai
from harness import BINARY, HI, SETTINGS, SYNC, ClientTest, GatewayTest, calls, for_azure, with_each
from pydantic import BaseModel

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
# The parsing helpers accept only strict tools.
STRICT = {**WEATHER, "required": ["city", "days"], "additionalProperties": False}
STRICT_TOOLS = [{"type": "function", "function": {"name": "weather", "strict": True, "parameters": STRICT}}]


class Person(BaseModel):
    name: str
    age: int


@with_each(SYNC)
class Answers(ClientTest):
    title = "answers"

    def test_chat(self):
        """a chat answer, with its usage"""
        answer = self.client.chat.completions.create(model="chat", messages=HI)
        self.assertEqual(answer.choices[0].message.content, "hello from openai/gpt-4o")
        self.assertGreater(answer.usage.total_tokens, 0)

    def test_unicode(self):
        """characters of every plane come back as they were sent"""
        text = "grüße, мир, 世界, 👩‍🚀 \u0000 \u2028 \ufeff"
        messages = [{"role": "user", "content": f"echo {text}"}]
        answer = self.client.chat.completions.create(model="chat", messages=messages)
        self.assertEqual(answer.choices[0].message.content, f"hello from openai/gpt-4o: {text}")

    def test_tools(self):
        """a tool call, and the answer to its result"""
        first = self.client.chat.completions.create(model="chat", messages=HI, tools=TOOLS)
        self.assertEqual(first.choices[0].finish_reason, "tool_calls")
        message = first.choices[0].message
        self.assertEqual(json.loads(message.tool_calls[0].function.arguments), {"city": "openai/gpt-4o", "days": 1})
        result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "rain"}
        second = self.client.chat.completions.create(model="chat", messages=[*HI, message, result], tools=TOOLS)
        self.assertEqual(second.choices[0].message.content, "hello from openai/gpt-4o")

    def test_parsed(self):
        """a structured answer becomes a Pydantic model, from Azure as well"""
        for model, source in [("chat", "openai/gpt-4o"), ("chat-eastus", "eastus/gpt-4o-eastus")]:
            answer = self.client.chat.completions.parse(model=model, messages=HI, response_format=Person)
            self.assertEqual(answer.choices[0].message.parsed, Person(name=f"hello from {source}", age=1))

    def test_parsed_tools(self):
        """a strict tool call is parsed"""
        answer = self.client.chat.completions.parse(model="chat", messages=HI, tools=STRICT_TOOLS)
        arguments = answer.choices[0].message.tool_calls[0].function.parsed_arguments
        self.assertEqual(arguments, {"city": "openai/gpt-4o", "days": 1})

    def test_long(self):
        """a long prompt and a long answer"""
        text = "0123456789 " * 100_000
        messages = [{"role": "user", "content": f"echo {text}"}]
        answer = self.client.chat.completions.create(model="chat", messages=messages)
        self.assertEqual(answer.choices[0].message.content, f"hello from openai/gpt-4o: {text}")

    def test_extra(self):
        """fields and headers that the SDK does not know reach the upstream, the client's key does not"""
        extra = {"extra_body": {"new_field": {"a": [1, None]}}, "extra_headers": {"x-new-header": "yes"}}
        self.client.chat.completions.create(model="chat", messages=HI, **extra)
        [call] = calls("openai")
        self.assertEqual(json.loads(call["body"])["new_field"], {"a": [1, None]})
        self.assertEqual(call["headers"]["x-new-header"], "yes")
        self.assertNotIn(SETTINGS["key"], json.dumps(call))

    def test_completion(self):
        """a completion, plain and streamed"""
        plain = self.client.completions.create(model="instruct", prompt="hi")
        self.assertEqual(plain.choices[0].text, "hello from openai/gpt-3.5-turbo-instruct")
        stream = self.client.completions.create(model="instruct", prompt="hi", stream=True)
        text = "".join(chunk.choices[0].text for chunk in stream)
        self.assertEqual(text, "hello from openai/gpt-3.5-turbo-instruct")

    def test_embeddings(self):
        """embeddings are the same as base64, which the SDK asks for, and as numbers"""
        packed = self.client.embeddings.create(model="embed", input=["one", "two"])
        plain = self.client.embeddings.create(model="embed", input=["one", "two"], encoding_format="float")
        self.assertEqual(len(packed.data), 2)
        for one, other in zip(packed.data, plain.data):
            self.assertEqual(len(one.embedding), 8)
            for left, right in zip(one.embedding, other.embedding):
                self.assertAlmostEqual(left, right, places=6)

    def test_embedding_of_tokens(self):
        """an embedding of tokens, with its dimensions"""
        answer = self.client.embeddings.create(model="embed", input=[1, 2, 3], dimensions=4)
        self.assertEqual([len(entry.embedding) for entry in answer.data], [4])

    def test_moderation(self):
        """a moderation"""
        answer = self.client.moderations.create(model="moderate", input="hi")
        self.assertFalse(answer.results[0].flagged)

    def test_images(self):
        """an image, and an edit of an uploaded one"""
        drawn = self.client.images.generate(model="draw", prompt="a cat")
        self.assertEqual(drawn.data[0].revised_prompt, "hello from openai/gpt-image-1")
        edited = self.client.images.edit(model="draw", image=("cat.png", BINARY, "image/png"), prompt="a dog")
        self.assertEqual(edited.data[0].revised_prompt, "hello from openai/gpt-image-1, cat.png 3000 bytes")

    def test_speech(self):
        """speech is streamed to a file, byte for byte"""
        whole = self.client.audio.speech.create(model="speak", voice="alloy", input="hi").content
        self.assertIn(b"hello from openai/tts-1", whole)
        self.assertEqual(whole[-1024:], bytes(index * 89 % 256 for index in range(1024)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "speech.mp3")
            speech = self.client.audio.speech.with_streaming_response
            with speech.create(model="speak", voice="alloy", input="hi") as answer:
                self.assertEqual(answer.headers["content-type"], "audio/mpeg")
                answer.stream_to_file(path)
            self.assertEqual(path.read_bytes(), whole)

    def test_transcription(self):
        """a transcription and a translation of an uploaded file"""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "speech.mp3")
            path.write_bytes(BINARY)
            expected = "hello from openai/whisper-1, speech.mp3 3000 bytes"
            transcript = self.client.audio.transcriptions.create(model="listen", file=path)
            self.assertEqual(transcript.text, expected)
            text = self.client.audio.transcriptions.create(model="listen", file=path, response_format="text")
            self.assertEqual(text, f"{expected}\n")
            with path.open("rb") as file:
                translated = self.client.audio.translations.create(model="listen", file=file)
            self.assertEqual(translated.text, expected)

    def test_forms(self):
        """forms with lists, with several files, and with names that need escapes"""
        name = 'grüße; "世界" %22\\.mp3'
        transcript = self.client.audio.transcriptions.create(
            model="listen",
            file=(name, BINARY, "audio/mpeg"),
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            prompt="näme",
        )
        self.assertIn("3000 bytes", transcript.text)
        images = [("a.png", BINARY, "image/png"), ("b.png", BINARY, "image/png")]
        edited = self.client.images.edit(model="draw", image=images, mask=images[0], prompt="a dog")
        self.assertTrue(edited.data[0].revised_prompt.startswith("hello from openai/gpt-image-1"))
        transcription, edit = [call["body"] for call in calls("openai")]
        self.assertEqual(transcription.count('name="timestamp_granularities[]"'), 2)
        self.assertIn("näme", transcription)
        self.assertEqual(edit.count('name="image[]"'), 2)

    def test_streamed_transcription(self):
        """a streamed transcription"""
        file = ("speech.mp3", BINARY, "audio/mpeg")
        events = list(self.client.audio.transcriptions.create(model="listen", file=file, stream=True))
        self.assertEqual(events[-1].type, "transcript.text.done")
        text = "".join(event.delta for event in events[:-1])
        self.assertEqual(text, "hello from openai/whisper-1, speech.mp3 3000 bytes")

    def test_models(self):
        """the list of models has the nodes, and each can be asked for"""
        names = [model.id for model in self.client.models.list()]
        self.assertIn("chat", names)
        self.assertNotIn("openai", names)
        self.assertEqual(self.client.models.retrieve("chat").id, "chat")


class AzureVariants(GatewayTest):
    title = "AzureOpenAI"

    def test_deployment(self):
        """the newest dated version, and the deployment given to the client"""
        client = for_azure(openai.AzureOpenAI, api_version="2025-04-01-preview", azure_deployment="chat-eastus")
        answer = client.chat.completions.create(model="ignored", messages=HI)
        self.assertEqual(answer.choices[0].message.content, "hello from eastus/gpt-4o-eastus")

    def test_token(self):
        """a token of an Entra ID provider is a bearer key"""
        client = for_azure(openai.AzureOpenAI, api_key=None, azure_ad_token_provider=lambda: SETTINGS["key"])
        answer = client.chat.completions.create(model="chat", messages=HI)
        self.assertEqual(answer.choices[0].message.content, "hello from openai/gpt-4o")

    def test_v1(self):
        """OpenAI works with Azure's v1 base URL"""
        client = openai.OpenAI(base_url=f"{SETTINGS['gateway']}/openai/v1/", api_key=SETTINGS["key"])
        answer = client.chat.completions.create(model="chat-westeurope", messages=HI)
        self.assertEqual(answer.choices[0].message.content, "hello from westeurope/gpt-4o-westeurope")
