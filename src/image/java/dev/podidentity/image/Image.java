package dev.podidentity.image;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The image: what it says of itself, and its archive in the layout of the OCI image specification, version 1.
 *
 * @param architecture as images call it: amd64 or arm64
 * @param version of the agent
 * @param created the time that everything in the archive carries
 * @param revision the commit that it was built from, if that is known
 * @param glibc the version of the C library in it, if it is linked with one
 */
record Image(
        Layer layer,
        String architecture,
        String version,
        Instant created,
        Optional<String> revision,
        Optional<String> glibc) {

    /** The reference's path, so that a manifest which names it still works. */
    static final String EXECUTABLE = "/eks-pod-identity-agent";

    /** The name that the reference's chart starts it by. */
    static final String GO_RUNNER = "/go-runner";

    /** Nobody in particular: numeric, as {@code runAsNonRoot} cannot judge a name. */
    static final String USER = "65532:65532";

    /** Says what glibc is in the image, as there is no package database to say it. */
    static final String GLIBC_LABEL = "dev.podidentity.image.glibc";

    private static final String NAME = "eks-pod-identity-agent";
    private static final String MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    private static final String CONFIG = "application/vnd.oci.image.config.v1+json";
    private static final String LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

    /** Everything an image says of itself, in the names that the specification gives. */
    Map<String, String> labels() {
        Map<String, String> labels = new LinkedHashMap<>();
        labels.put("org.opencontainers.image.title", NAME);
        labels.put("org.opencontainers.image.description",
                "Exchanges the projected service-account tokens of a node's pods for AWS credentials");
        labels.put("org.opencontainers.image.version", version);
        labels.put("org.opencontainers.image.created", created.toString());
        // The agent's, and glibc's; those of the libraries in the executable are in its SBOM.
        labels.put("org.opencontainers.image.licenses", "Apache-2.0 AND LGPL-2.1-or-later");
        revision.ifPresent(commit -> labels.put("org.opencontainers.image.revision", commit));
        glibc.ifPresent(libc -> labels.put(GLIBC_LABEL, libc));
        return labels;
    }

    /** A tar archive of the layout, which container engines and registries' tools load. */
    byte[] archive() {
        Map<String, byte[]> files = new TreeMap<>();
        JsonObject layerBlob = blob(files, LAYER, layer.compressed());
        JsonObject configBlob = blob(files, CONFIG, bytes(config()));
        JsonObject manifestBlob = blob(files, MANIFEST, bytes(new JsonObject()
                .put("schemaVersion", 2)
                .put("mediaType", MANIFEST)
                .put("config", configBlob)
                .put("layers", new JsonArray().add(layerBlob))
                .put("annotations", json(labels()))));
        files.put("oci-layout", bytes(new JsonObject().put("imageLayoutVersion", "1.0.0")));
        files.put("index.json", bytes(new JsonObject()
                .put("schemaVersion", 2)
                .put("mediaType", "application/vnd.oci.image.index.v1+json")
                .put("manifests", new JsonArray().add(manifestBlob
                        .put("platform", new JsonObject().put("architecture", architecture).put("os", "linux"))
                        .put("annotations", new JsonObject().put("org.opencontainers.image.ref.name", version))))));
        // Not of the specification: "docker load" finds an image by it where Docker does not keep images in containerd.
        files.put("manifest.json", new JsonArray()
                .add(new JsonObject()
                        .put("Config", path(configBlob))
                        .put("RepoTags", new JsonArray().add(NAME + ':' + version))
                        .put("Layers", new JsonArray().add(path(layerBlob))))
                .toBuffer()
                .getBytes());
        return Layer.tar(files, created);
    }

    private JsonObject config() {
        return new JsonObject()
                .put("created", created.toString())
                .put("architecture", architecture)
                .put("os", "linux")
                .put("config", new JsonObject()
                        .put("User", USER)
                        .put("Entrypoint", new JsonArray().add(EXECUTABLE))
                        .put("WorkingDir", "/")
                        .put("Labels", json(labels())))
                .put("rootfs", new JsonObject().put("type", "layers").put("diff_ids", new JsonArray().add(layer.diffId())))
                .put("history", new JsonArray().add(new JsonObject()
                        .put("created", created.toString())
                        .put("created_by", "mvn package -Dnative")));
    }

    /** Adds content to the layout, and describes it. */
    private static JsonObject blob(Map<String, byte[]> files, String mediaType, byte[] content) {
        JsonObject descriptor = new JsonObject()
                .put("mediaType", mediaType)
                .put("digest", Sha256.of(content))
                .put("size", content.length);
        files.put(path(descriptor), content);
        return descriptor;
    }

    private static String path(JsonObject descriptor) {
        return "blobs/" + descriptor.getString("digest").replace(':', '/');
    }

    private static byte[] bytes(JsonObject json) {
        return json.toBuffer().getBytes();
    }

    private static JsonObject json(Map<String, String> values) {
        JsonObject json = new JsonObject();
        values.forEach(json::put);
        return json;
    }
}
