package dev.podidentity.agent.verification;

import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.token.StrictJson;
import dev.podidentity.agent.verification.KeyRing.FetchedKeys;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Optional;

/**
 * Stores the cluster's keys for the next start, during which the API server may be down. Anyone who can write the file can
 * create tokens that the agent trusts, so it is read only if nobody else can write it. Every method blocks.
 */
final class KeysFile {

    /** More than the keys of any cluster. */
    private static final int LONGEST = VerificationKeys.LONGEST;
    private static final String OWNER = "unix:uid";

    private final Path path;
    private final Path owned;

    KeysFile(Path path) {
        // The kernel gives this directory to the user of the process.
        this(path, Path.of("/proc/self"));
    }

    /** @param owned a file of the user who must own the keys file */
    KeysFile(Path path, Path owned) {
        this.path = path.toAbsolutePath();
        this.owned = owned;
    }

    /**
     * Reads the file.
     *
     * @return empty if there is none
     * @throws IOException if it cannot be read or its content must not be used; the message says which and why
     */
    Optional<FetchedKeys> read() throws IOException {
        if (Files.notExists(path, LinkOption.NOFOLLOW_LINKS)) {
            return Optional.empty();
        }
        requireOwn();
        byte[] content;
        try (InputStream file = Files.newInputStream(path, LinkOption.NOFOLLOW_LINKS)) {
            content = file.readNBytes(LONGEST + 1);
        }
        if (content.length > LONGEST) {
            throw new IOException("It is over " + LONGEST + " bytes long");
        }
        return Optional.of(kept(new String(content, StandardCharsets.UTF_8)));
    }

    private void requireOwn() throws IOException {
        PosixFileAttributes attributes =
                Files.readAttributes(path, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        if (!attributes.isRegularFile()) {
            throw new IOException("It is not a regular file");
        }
        if (attributes.permissions().contains(PosixFilePermission.GROUP_WRITE)
                || attributes.permissions().contains(PosixFilePermission.OTHERS_WRITE)) {
            throw new IOException("Others than its owner can write it");
        }
        Object owner = Files.getAttribute(path, OWNER, LinkOption.NOFOLLOW_LINKS);
        if (!owner.equals(Files.getAttribute(owned, OWNER))) {
            throw new IOException("It belongs to another user, of UID " + owner);
        }
    }

    private static FetchedKeys kept(String content) throws IOException {
        try {
            if (StrictJson.read(content) instanceof JsonObject json
                    && json.getValue("issuer") instanceof String issuer
                    && json.getValue("jwks") instanceof String jwks
                    && json.getValue("fetchedAt") instanceof String time) {
                PublishedKeys published = new PublishedKeys(issuer, jwks);
                return new FetchedKeys(published, VerificationKeys.read(published), Instant.parse(time));
            }
        } catch (CallFailure e) {
            throw new IOException(e.getMessage(), e);
        } catch (DecodeException | DateTimeParseException e) {
            throw new IOException("It is malformed", e);
        }
        throw new IOException("It is malformed");
    }

    /**
     * Replaces the file atomically: readers find the old or the new one.
     *
     * @throws IOException if it is unchanged
     */
    void write(FetchedKeys keys) throws IOException {
        String content = new JsonObject()
                .put("issuer", keys.published().issuer())
                .put("jwks", keys.published().jwks())
                .put("fetchedAt", keys.fetchedAt().toString())
                .encode();
        Path temporary = Files.createTempFile(path.getParent(), path.getFileName() + ".", ".tmp",
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        try {
            try (FileChannel file = FileChannel.open(temporary, StandardOpenOption.WRITE)) {
                ByteBuffer bytes = ByteBuffer.wrap(content.getBytes(StandardCharsets.UTF_8));
                while (bytes.hasRemaining()) {
                    file.write(bytes);
                }
                // Otherwise a node that loses power could keep the name and lose the content.
                file.force(true);
            }
            Files.move(temporary, path, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
