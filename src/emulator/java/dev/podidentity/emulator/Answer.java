package dev.podidentity.emulator;

import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.time.Instant;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;

/** The response to a valid call, with credentials that are unique and name their owner. */
final class Answer {

    private static final String UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    private static final String BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    /** The lengths of real AWS credentials; that of session tokens varies. */
    private static final int ACCESS_KEY_ID_LENGTH = 20;
    private static final int SECRET_LENGTH = 40;
    private static final int SESSION_TOKEN_LENGTH = 900;

    private Answer() {}

    static JsonObject of(
            EmulatorConfig config,
            Association association,
            TokenVerification.Verified token,
            Instant now,
            Duration lifetime) {
        String session = "eks-" + config.clusterName() + "-" + token.pod() + "-" + UUID.randomUUID();
        String arnOfAccount = association.account() + ":";
        return new JsonObject()
                .put("subject", new JsonObject()
                        .put("namespace", token.namespace())
                        .put("serviceAccount", token.serviceAccount()))
                .put("audience", config.audience())
                .put("podIdentityAssociation", new JsonObject()
                        .put("associationArn", "arn:" + association.partition() + ":eks:" + config.region() + ":"
                                + arnOfAccount + "podidentityassociation/" + config.clusterName() + "/"
                                + association.associationId())
                        .put("associationId", association.associationId()))
                .put("assumedRoleUser", new JsonObject()
                        .put("arn", "arn:" + association.partition() + ":sts::" + arnOfAccount + "assumed-role/"
                                + association.role() + "/" + session)
                        .put("assumeRoleId", "AROAEMULATED00000000:" + session))
                .put("credentials", new JsonObject()
                        .put("accessKeyId", filled("ASIA", UPPER, ACCESS_KEY_ID_LENGTH))
                        .put("secretAccessKey", filled("emulated-secret-", BASE64, SECRET_LENGTH))
                        .put("sessionToken", filled(
                                "emulated-session-" + association.role() + "-" + token.pod() + "-",
                                BASE64,
                                SESSION_TOKEN_LENGTH))
                        .put("expiration", now.plus(lifetime).toEpochMilli() / 1000.0));
    }

    static void remove(JsonObject answer, String field) {
        parent(answer, field).remove(name(field));
    }

    static void changeType(JsonObject answer, String field) {
        JsonObject parent = parent(answer, field);
        boolean string = parent.getValue(name(field)) instanceof String;
        parent.put(name(field), string ? new JsonObject().put("unexpected", 1) : "unexpected");
    }

    private static JsonObject parent(JsonObject answer, String field) {
        int dot = field.indexOf('.');
        return dot < 0 ? answer : answer.getJsonObject(field.substring(0, dot));
    }

    private static String name(String field) {
        return field.substring(field.indexOf('.') + 1);
    }

    private static String filled(String prefix, String alphabet, int length) {
        return ThreadLocalRandom.current()
                .ints(length - prefix.length(), 0, alphabet.length())
                .mapToObj(index -> alphabet.substring(index, index + 1))
                .collect(Collectors.joining("", prefix, ""));
    }
}
