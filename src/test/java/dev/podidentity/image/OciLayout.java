package dev.podidentity.image;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;

/**
 * Reads an image archive as a container engine does, from the index by digest. Reading also verifies it: the test fails if the
 * digest, size or media type of a file is not as declared, or if nothing refers to the file.
 *
 * @param index the only entry of the index, which describes the manifest
 * @param layer the layer as stored, compressed
 */
public record OciLayout(JsonObject index, JsonObject manifest, JsonObject config, byte[] layer, JsonArray forDocker) {

    public static OciLayout read(byte[] archive) {
        Map<String, byte[]> files = untar(new ByteArrayInputStream(archive));
        assertThat(json(files.remove("oci-layout")).getString("imageLayoutVersion")).isEqualTo("1.0.0");
        JsonObject root = json(files.remove("index.json"));
        assertThat(root.getInteger("schemaVersion")).isEqualTo(2);
        assertThat(root.getString("mediaType")).isEqualTo("application/vnd.oci.image.index.v1+json");
        assertThat(root.getJsonArray("manifests")).hasSize(1);

        JsonObject index = root.getJsonArray("manifests").getJsonObject(0);
        JsonObject manifest = json(blob(files, index, "application/vnd.oci.image.manifest.v1+json"));
        assertThat(manifest.getInteger("schemaVersion")).isEqualTo(2);
        assertThat(manifest.getString("mediaType")).isEqualTo(index.getString("mediaType"));
        JsonObject config = json(blob(files, manifest.getJsonObject("config"), "application/vnd.oci.image.config.v1+json"));
        assertThat(manifest.getJsonArray("layers")).hasSize(1);
        byte[] layer = blob(files, manifest.getJsonArray("layers").getJsonObject(0),
                "application/vnd.oci.image.layer.v1.tar+gzip");
        JsonObject rootfs = config.getJsonObject("rootfs");
        assertThat(rootfs.getString("type")).isEqualTo("layers");
        assertThat(rootfs.getJsonArray("diff_ids")).containsExactly(Sha256.of(gunzip(layer)));
        assertThat(config.getJsonArray("history")).hasSize(1);

        JsonArray forDocker = new JsonArray(Buffer.buffer(files.remove("manifest.json")));
        assertThat(files).as("files to which nothing refers").isEmpty();
        return new OciLayout(index, manifest, config, layer, forDocker);
    }

    /** Returns the runtime configuration, such as the entry point and the user. */
    public JsonObject runtime() {
        return config.getJsonObject("config");
    }

    /** Returns the entries of the layer, in order. */
    public Map<String, TarArchiveEntry> entries() {
        Map<String, TarArchiveEntry> entries = new LinkedHashMap<>();
        try (TarArchiveInputStream tar = new TarArchiveInputStream(new ByteArrayInputStream(gunzip(layer)))) {
            for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
                entries.put(entry.getName(), entry);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return entries;
    }

    private static byte[] blob(Map<String, byte[]> files, JsonObject descriptor, String mediaType) {
        assertThat(descriptor.getString("mediaType")).isEqualTo(mediaType);
        String digest = descriptor.getString("digest");
        byte[] content = files.remove("blobs/" + digest.replace(':', '/'));
        assertThat(content).as(digest).isNotNull().hasSize(descriptor.getInteger("size"));
        assertThat(Sha256.of(content)).isEqualTo(digest);
        return content;
    }

    private static Map<String, byte[]> untar(InputStream archive) {
        Map<String, byte[]> files = new LinkedHashMap<>();
        try (TarArchiveInputStream tar = new TarArchiveInputStream(archive)) {
            for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
                files.put(entry.getName(), tar.readAllBytes());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return files;
    }

    private static byte[] gunzip(byte[] compressed) {
        try (InputStream content = new GZIPInputStream(new ByteArrayInputStream(compressed))) {
            return content.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static JsonObject json(byte[] content) {
        assertThat(content).isNotNull();
        return new JsonObject(Buffer.buffer(content));
    }
}
