// Eyes on a vCenter for a program that runs for long: the account is read anew at each question, so that a change needs no restart. The
// questions are few: one for each machine that goes, and one every few minutes.
import { Fault, type Clock, type Logger } from "#core";
import { vsphereSessions, type VsphereClient } from "#vsphere";
import type { VcenterAccount } from "./account.ts";
import { guestAddresses, vcenterWitness, type VcenterEyes } from "./vm-witness.ts";

export interface FollowedEyes {
  /** Undefined as long as no account was ever named. Rejects where what is named cannot be read, and never could be. */
  eyes(): Promise<Omit<VcenterEyes, "close"> | undefined>;
  /** Logs out. */
  close(): Promise<void>;
}

interface Current {
  readonly account: VcenterAccount;
  readonly client: VsphereClient;
  readonly eyes: Omit<VcenterEyes, "close">;
}

/**
 * `read` tells the account as it is named now. An account that cannot be read any more, or is named no more, stays in use as it was:
 * whoever loses it by mistake does not have addresses given out on less evidence. Rejects where the first one cannot be read.
 */
export async function followedEyes(
  read: () => Promise<VcenterAccount | undefined>,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<FollowedEyes> {
  const sessions = vsphereSessions({ clock, log });
  let current: Current | undefined;
  let said = "";

  const complain = (message: string, error?: Fault) => {
    if (said !== message) log.warn(message, error ? { error } : {});
    said = message;
  };

  function take(account: VcenterAccount): Current {
    if (current && isSame(current.account, account)) return current;
    const client = sessions.connect(account);
    if (current)
      log.info("the vCenter account has changed", { server: account.server, user: account.username });
    void current?.client.close(); // questions under way are answered still
    const eyes = {
      witness: vcenterWitness(client, log),
      guests: (signal: AbortSignal) => guestAddresses(client, signal),
    };
    return (current = { account, client, eyes });
  }

  async function eyes() {
    try {
      const account = await read();
      if (account) {
        const { eyes: taken } = take(account);
        said = "";
        return taken;
      }
      if (current) complain("no vCenter account is named any more; the last one stays in use");
      return current?.eyes;
    } catch (error) {
      const fault = Fault.from(error);
      if (!current) throw fault;
      complain(`the vCenter account cannot be read; the last one stays in use: ${fault.message}`, fault);
      return current.eyes;
    }
  }

  try {
    await eyes();
  } catch (error) {
    await sessions.close();
    throw error;
  }
  return { eyes, close: () => sessions.close() };
}

function isSame(a: VcenterAccount, b: VcenterAccount): boolean {
  return (
    a.server === b.server &&
    a.username === b.username &&
    a.password.reveal() === b.password.reveal() &&
    a.thumbprint === b.thumbprint &&
    a.ca === b.ca
  );
}
