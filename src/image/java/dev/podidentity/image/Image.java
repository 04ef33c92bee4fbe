package dev.podidentity.image;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The image: its metadata, and its archive in the layout of the OCI image specification, version 1.
 *
 * @param architecture the architecture as images name it: amd64 or arm64
 * @param version the version of the agent
 * @param created the timestamp of everything in the archive
 * @param revision the commit from which it was built, if known
 * @param glibc the version of the included C library, if the executable is linked with one
 */
record Image(
        Layer layer,
        String architecture,
        String version,
        Instant created,
        Optional<String> revision,
        Optional<String> glibc) {

    /** The reference's path, so that manifests that name it still work. */
    static final String EXECUTABLE = "/eks-pod-identity-agent";

    /** The name with which the reference's chart starts it. */
    static final String GO_RUNNER = "/go-runner";

    /** An unprivileged user; numeric, because {@code runAsNonRoot} cannot check a name. */
    static final String USER = "65532:65532";

    /** Names the glibc version, because the image has no package database. */
    static final String GLIBC_LABEL = "dev.podidentity.image.glibc";

    private static final String NAME = "eks-pod-identity-agent";
    private static final String MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    private static final String CONFIG = "application/vnd.oci.image.config.v1+json";
    private static final String LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

    /** Returns the image's metadata, under the names of the specification. */
    Map<String, String> labels() {
        Map<String, String> labels = new LinkedHashMap<>();
        labels.put("org.opencontainers.image.title", NAME);
        labels.put("org.opencontainers.image.description",
                "Exchanges the projected service-account tokens of a node's pods for AWS credentials");
        labels.put("org.opencontainers.image.version", version);
        labels.put("org.opencontainers.image.created", created.toString());
        // The licenses of the agent and of glibc; those of the libraries in the executable are in its SBOM.
        labels.put("org.opencontainers.image.licenses", "Apache-2.0 AND LGPL-2.1-or-later");
        revision.ifPresent(commit -> labels.put("org.opencontainers.image.revision", commit));
        glibc.ifPresent(libc -> labels.put(GLIBC_LABEL, libc));
        return labels;
    }

    /** Returns a tar archive of the layout, which container engines and registry tools can load. */
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
        // Not part of the specification: "docker load" needs it if Docker does not store images in containerd.
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

    /** Adds content to the layout, and returns its descriptor. */
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
