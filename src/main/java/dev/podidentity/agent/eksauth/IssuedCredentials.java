package dev.podidentity.agent.eksauth;

import java.time.Instant;
import java.util.Objects;

/**
 * The credentials that EKS Auth issued for a token. They are complete: a response that lacks a part is a failure instead.
 *
 * @param accessKeyId the access key's ID, not a secret
 * @param secretAccessKey a secret
 * @param sessionToken a secret
 * @param accountId the account of the assumed role
 * @param expiration when AWS stops accepting the credentials
 * @param namespace the namespace that EKS Auth read from the verified token
 * @param serviceAccount the service account that EKS Auth read from the verified token
 * @param roleArn the ARN of the assumed role's session
 * @param associationId the EKS Pod Identity association
 */
public record IssuedCredentials(
        String accessKeyId,
        String secretAccessKey,
        String sessionToken,
        String accountId,
        Instant expiration,
        String namespace,
        String serviceAccount,
        String roleArn,
        String associationId)
        implements EksAuthAnswer {

    public IssuedCredentials {
        Objects.requireNonNull(accessKeyId, "accessKeyId");
        Objects.requireNonNull(secretAccessKey, "secretAccessKey");
        Objects.requireNonNull(sessionToken, "sessionToken");
        Objects.requireNonNull(accountId, "accountId");
        Objects.requireNonNull(expiration, "expiration");
        Objects.requireNonNull(namespace, "namespace");
        Objects.requireNonNull(serviceAccount, "serviceAccount");
        Objects.requireNonNull(roleArn, "roleArn");
        Objects.requireNonNull(associationId, "associationId");
    }

    @Override
    public String toString() {
        return "IssuedCredentials[" + roleArn + ", expires " + expiration + "]";
    }
}
