package dev.podidentity.agent;

import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.jose4j.jwk.JsonWebKey.OutputControlLevel;
import org.jose4j.jwk.PublicJsonWebKey;
import org.jose4j.jwk.RsaJsonWebKey;
import org.jose4j.jwk.RsaJwkGenerator;
import org.jose4j.jws.JsonWebSignature;
import org.jose4j.keys.HmacKey;
import org.jose4j.lang.JoseException;

/** Forges tokens from a pod's token or its claims, without the cluster's private keys. */
public final class ForgedTokens {

    /** The forger's own key. */
    private final RsaJsonWebKey own;

    public ForgedTokens() throws JoseException {
        own = RsaJwkGenerator.generateJwk(2048);
    }

    /** Returns a token with other claims and the original signature. */
    public static String withClaims(String token, JsonObject claims) {
        String[] parts = token.split("\\.");
        return parts[0] + '.' + encode(claims) + '.' + parts[2];
    }

    /** Returns a token with another header and the original signature. */
    public static String withHeader(String token, JsonObject header) {
        return encode(header) + token.substring(token.indexOf('.'));
    }

    /** Returns a token whose signature has the same bytes in another encoding: the last character has unused bits. */
    public static String withSpareBits(String token) {
        char last = token.charAt(token.length() - 1);
        return token.substring(0, token.length() - 1) + (char) (last + 1);
    }

    /** Returns the claims of a token with a signature that needs no key. */
    public static String unsigned(String token, String algorithm, String signature) {
        JsonObject header = header(token).put("alg", algorithm);
        return encode(header) + '.' + token.split("\\.")[1] + '.' + signature;
    }

    /** Returns the claims of a token with an HMAC keyed with the published text of a public key. */
    public static String keyedWith(String token, String publicKey) throws JoseException {
        JsonWebSignature signature = of(token);
        signature.setAlgorithmHeaderValue("HS256");
        signature.setKey(new HmacKey(publicKey.getBytes(StandardCharsets.UTF_8)));
        signature.setDoKeyValidation(false);
        return signature.getCompactSerialization();
    }

    /** Returns the claims of a token, signed with the forger's key. */
    public String signed(String token, String keyId) throws JoseException {
        JsonWebSignature signature = of(token);
        signature.setKeyIdHeaderValue(keyId);
        return signed(signature);
    }

    /** Returns the claims of a token, signed with the forger's key, with the public key in the header. */
    public String signedWithKeyInHeader(String token) throws JoseException {
        JsonWebSignature signature = of(token);
        signature.setJwkHeader(PublicJsonWebKey.Factory.newPublicJwk(own.toParams(OutputControlLevel.PUBLIC_ONLY)));
        return signed(signature);
    }

    private String signed(JsonWebSignature signature) throws JoseException {
        signature.setAlgorithmHeaderValue("RS256");
        signature.setKey(own.getPrivateKey());
        return signature.getCompactSerialization();
    }

    private static JsonWebSignature of(String token) {
        JsonWebSignature signature = new JsonWebSignature();
        signature.setPayload(new String(Base64.getUrlDecoder().decode(token.split("\\.")[1]), StandardCharsets.UTF_8));
        signature.setKeyIdHeaderValue(header(token).getString("kid"));
        return signature;
    }

    public static JsonObject header(String token) {
        return new JsonObject(new String(Base64.getUrlDecoder().decode(token.split("\\.")[0]), StandardCharsets.UTF_8));
    }

    public static String encode(JsonObject json) {
        return encode(json.encode());
    }

    public static String encode(String text) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }
}
