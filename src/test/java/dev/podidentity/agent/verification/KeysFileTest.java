package dev.podidentity.agent.verification;

import static dev.podidentity.agent.verification.SigningKeys.jwk;
import static dev.podidentity.agent.verification.SigningKeys.jwks;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.verification.KeyRing.FetchedKeys;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class KeysFileTest {

    private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
    private static final PublishedKeys PUBLISHED = new PublishedKeys("https://issuer", jwks(jwk("a", SigningKeys.P256)));

    @TempDir
    Path directory;

    private Path path;
    private KeysFile file;

    @BeforeEach
    void place() {
        path = directory.resolve("keys.json");
        file = new KeysFile(path);
    }

    @Test
    void readsWhatWasWritten() throws Exception {
        // Given
        FetchedKeys keys = new FetchedKeys(PUBLISHED, VerificationKeys.read(PUBLISHED), NOW.minusSeconds(60));

        // When
        file.write(keys);

        // Then
        assertThat(file.read()).contains(keys);
    }

    @Test
    void isReadableAndWritableByItsOwnerOnlyAndLeavesNothingBeside() throws Exception {
        // Given
        Files.writeString(path, "old");
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-r--r--"));

        // When
        write();

        // Then
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path))).isEqualTo("rw-------");
        try (Stream<Path> all = Files.list(directory)) {
            assertThat(all).containsExactly(path);
        }
    }

    @Test
    void replacesTheFileAsAWhole() throws Exception {
        // Given: a second name for the existing file
        write();
        Path before = directory.resolve("before");
        Files.createLink(before, path);
        String content = Files.readString(path);

        // When
        PublishedKeys other = new PublishedKeys("https://issuer", jwks(jwk("b", SigningKeys.P256)));
        file.write(new FetchedKeys(other, VerificationKeys.read(other), NOW));

        // Then: the new content is in another file, so nobody can have read half of it
        assertThat(Files.readString(before)).isEqualTo(content);
        assertThat(Files.readString(path)).isNotEqualTo(content);
    }

    @Test
    void keepsTheOldFileIfTheNewOneCannotTakeItsPlace() throws Exception {
        // Given: a directory, which a file cannot replace
        Files.createDirectories(path.resolve("content"));

        // When, Then
        assertThatIOException().isThrownBy(this::write);
        assertThat(path).isDirectoryContaining("glob:**content");
        try (Stream<Path> all = Files.list(directory)) {
            assertThat(all).containsExactly(path);
        }
    }

    @Test
    void failsToWriteWithoutItsDirectory() {
        file = new KeysFile(directory.resolve("missing").resolve("keys.json"));

        assertThatIOException().isThrownBy(this::write);
    }

    @Test
    void hasNothingIfThereIsNoFile() throws IOException {
        assertThat(file.read()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"rw--w----", "rw-----w-", "rw-rw-rw-"})
    void isNotReadIfOthersCanWriteIt(String permissions) throws Exception {
        write();
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(permissions));

        assertRefused("Others than its owner can write it");
    }

    @Test
    void isReadIfOthersCanReadIt() throws Exception {
        // The keys in it are public.
        write();
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-r--r--"));

        assertThat(file.read()).isPresent();
    }

    @Test
    void isNotReadIfItBelongsToAnother() throws Exception {
        // Given: a file of root, unless root runs the tests
        write();
        Path another = directory.resolve("another's");
        Files.createFile(another);
        Path owned = Files.getAttribute(another, "unix:uid").equals(0) ? another : Path.of("/");
        if (owned.equals(another)) {
            Files.setAttribute(another, "unix:uid", 65_534);
        }
        file = new KeysFile(path, owned);

        // When, Then
        assertRefused("It belongs to another user");
    }

    @Test
    void isNotReadThroughALink() throws Exception {
        write();
        Path target = directory.resolve("target");
        Files.move(path, target);
        Files.createSymbolicLink(path, target);

        assertRefused("not a regular file");
    }

    @Test
    void isNotReadIfItIsADirectory() throws Exception {
        Files.createDirectory(path);

        assertRefused("not a regular file");
    }

    @Test
    void isNotReadIfItIsTooLong() throws Exception {
        put(" ".repeat(1 << 20) + content().encode());

        assertRefused("It is over 1048576 bytes long");
    }

    static Stream<Arguments> contents() {
        return Stream.of(
                arguments("nothing", "", "malformed"),
                arguments("no JSON", "keys", "malformed"),
                arguments("half of it", content().encode().substring(0, 100), "malformed"),
                arguments("an array", "[]", "malformed"),
                arguments("no issuer", without("issuer"), "malformed"),
                arguments("an empty issuer", content().put("issuer", "").encode(), "without an issuer"),
                arguments("no keys", without("jwks"), "malformed"),
                arguments("keys that are no text", content().put("jwks", new JsonObject(PUBLISHED.jwks())).encode(),
                        "malformed"),
                arguments("an empty key set", content().put("jwks", "{\"keys\":[]}").encode(), "None of the 0"),
                arguments("no time", without("fetchedAt"), "malformed"),
                arguments("a time that is none", content().put("fetchedAt", "yesterday").encode(), "malformed"),
                arguments("a time that is a number", content().put("fetchedAt", 1).encode(), "malformed"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("contents")
    void isNotUsedIfItsContentIsMalformed(String name, String content, String message) throws Exception {
        put(content);

        assertRefused(message);
    }

    private void write() throws IOException {
        try {
            file.write(new FetchedKeys(PUBLISHED, VerificationKeys.read(PUBLISHED), NOW));
        } catch (CallFailure e) {
            throw new IllegalStateException(e);
        }
    }

    private void put(String content) throws IOException {
        Files.writeString(path, content);
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
    }

    private void assertRefused(String message) {
        assertThatIOException().isThrownBy(() -> file.read()).withMessageContaining(message);
    }

    private static JsonObject content() {
        return new JsonObject()
                .put("issuer", PUBLISHED.issuer())
                .put("jwks", PUBLISHED.jwks())
                .put("fetchedAt", NOW.toString());
    }

    private static String without(String member) {
        JsonObject content = content();
        content.remove(member);
        return content.encode();
    }
}
