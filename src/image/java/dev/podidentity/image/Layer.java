package dev.podidentity.image;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;

/**
 * The file system of the image, as a single compressed layer. It is reproducible: entries are sorted, belong to the numeric
 * user and group 0:0, and share one timestamp.
 *
 * @param compressed the stored content
 * @param diffId the digest of the uncompressed content
 */
record Layer(byte[] compressed, String diffId) {

    /**
     * A file in the layer.
     *
     * @param path the absolute path
     * @param mode the permissions
     * @param paxHeaders the extended attributes
     * @param target the target, if the file is a symbolic link
     */
    record Item(String path, int mode, byte[] content, Map<String, String> paxHeaders, Optional<String> target) {

        static Item executable(String path, byte[] content) {
            return new Item(path, 0755, content, Map.of(), Optional.empty());
        }

        static Item withCapability(String path, byte[] content) {
            return new Item(path, 0755, content, Map.of(FileCapability.PAX_HEADER, FileCapability.paxValue()),
                    Optional.empty());
        }

        static Item link(String path, String target) {
            return new Item(path, 0777, new byte[0], Map.of(), Optional.of(target));
        }

        static Item text(String path, String content) {
            return new Item(path, 0644, content.getBytes(StandardCharsets.UTF_8), Map.of(), Optional.empty());
        }
    }

    private static final int DIRECTORY_MODE = 0755;

    static Layer of(List<Item> items, Instant time) {
        // The path of a directory ends with a slash, so it sorts before its content.
        Map<String, TarArchiveEntry> entries = new TreeMap<>();
        Map<String, byte[]> contents = new TreeMap<>();
        for (Item item : items) {
            String path = item.path().substring(1);
            for (int slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
                entries.computeIfAbsent(path.substring(0, slash + 1), parent -> entry(parent, DIRECTORY_MODE, 0, time));
            }
            TarArchiveEntry entry = item.target().isPresent()
                    ? linkEntry(path, item.target().get(), time)
                    : entry(path, item.mode(), item.content().length, time);
            item.paxHeaders().forEach(entry::addPaxHeader);
            entries.put(path, entry);
            contents.put(path, item.content());
        }
        byte[] tar = tar(entries, contents);
        return new Layer(gzip(tar), Sha256.of(tar));
    }

    /** Returns an archive of plain files, sorted by name. */
    static byte[] tar(Map<String, byte[]> files, Instant time) {
        Map<String, TarArchiveEntry> entries = new TreeMap<>();
        files.forEach((name, content) -> entries.put(name, entry(name, 0644, content.length, time)));
        return tar(entries, files);
    }

    private static TarArchiveEntry linkEntry(String name, String target, Instant time) {
        TarArchiveEntry entry = new TarArchiveEntry(name, TarConstants.LF_SYMLINK);
        entry.setLinkName(target);
        return described(entry, 0777, 0, time);
    }

    private static TarArchiveEntry entry(String name, int mode, int size, Instant time) {
        return described(new TarArchiveEntry(name), mode, size, time);
    }

    private static TarArchiveEntry described(TarArchiveEntry entry, int mode, int size, Instant time) {
        entry.setMode(mode);
        entry.setIds(0, 0);
        entry.setNames("", "");
        entry.setLastModifiedTime(FileTime.from(time));
        entry.setSize(size);
        return entry;
    }

    private static byte[] tar(Map<String, TarArchiveEntry> entries, Map<String, byte[]> contents) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes, StandardCharsets.UTF_8.name())) {
            tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_POSIX);
            for (Map.Entry<String, TarArchiveEntry> entry : entries.entrySet()) {
                tar.putArchiveEntry(entry.getValue());
                tar.write(contents.getOrDefault(entry.getKey(), new byte[0]));
                tar.closeArchiveEntry();
            }
        } catch (IOException e) {
            throw new UncheckedIOException("Writing to memory failed", e);
        }
        return bytes.toByteArray();
    }

    private static byte[] gzip(byte[] content) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
            gzip.write(content);
        } catch (IOException e) {
            throw new UncheckedIOException("Writing to memory failed", e);
        }
        return bytes.toByteArray();
    }
}
