// What the last lines of a program that ended mean to an operator, and what to do. Pure.

interface Cause {
  readonly name: string;
  readonly sign: RegExp;
  readonly advice: (dataDir: string) => string;
}

/** The first that fits wins. */
const causes: readonly Cause[] = [
  {
    name: "disk-full",
    sign: /no space left on device|ENOSPC|disk quota exceeded/i,
    advice: (dataDir) =>
      `the disk of ${dataDir} is full: free space there (old snapshots lie in ${dataDir}/snapshots); it goes on by itself`,
  },
  {
    name: "quota",
    sign: /database space exceeded|alarm:NOSPACE/i,
    advice: () =>
      "etcd's database has reached its quota: delete what is not needed, it is compacted by itself",
  },
  {
    name: "port-taken",
    sign: /address already in use/i,
    advice: () => "another program has taken its port: a restart of the gateway chooses another",
  },
  {
    name: "read-only",
    sign: /read-only file system/i,
    advice: (dataDir) => `the file system of ${dataDir} is read-only: mount it for writing, check the disk`,
  },
  {
    name: "permission",
    sign: /\b(open|mkdir|stat|exec|create|lock)\b.*(permission denied|operation not permitted)|EACCES/i,
    advice: (dataDir) =>
      `a file may not be used: ${dataDir} and the bundle must belong to the user who runs the gateway`,
  },
  {
    name: "not-executable",
    sign: /exec format error|ENOEXEC/i,
    advice: () => "the program is for another kind of machine: install the bundle for this architecture",
  },
  {
    name: "damaged-data",
    sign: /fatal error: fault|unexpected fault address|file checksum|crc mismatch|walpb: crc|snap: .*(corrupt|mismatch)|failed to .*(read|recover).*(wal|snapshot)|invalid database|page \d+ already freed|checksum error/i,
    advice: () => "etcd's data is damaged: restore the last snapshot with `pcg controlplane restore`",
  },
  {
    name: "memory",
    sign: /cannot allocate memory|out of memory|SIGKILL/i,
    advice: () => "it was killed or ran out of memory: the control plane needs about 1 GB",
  },
];

export interface Diagnosis {
  readonly name: string;
  readonly advice: string;
}

/** Of how it ended and of its last lines; undefined where nothing is known to say. */
export function diagnose(dataDir: string, end: string, lines: readonly string[]): Diagnosis | undefined {
  const all = [...lines, end];
  for (const cause of causes) {
    if (all.some((line) => cause.sign.test(line))) {
      return { name: cause.name, advice: cause.advice(dataDir) };
    }
  }
  return undefined;
}
