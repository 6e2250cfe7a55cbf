#!/bin/bash
# One RedoxMC run under Slurm, in as many jobs as it needs:  sbatch inputs/cluster/slurm.sh inputs/nafepo4.yaml
# Slurm sends SIGUSR1 five minutes before the time limit. The run commits and ends with code 75, and the job queues itself again.
#SBATCH --job-name=redoxmc
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=32
#SBATCH --cpus-per-task=1
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

input=${1:?usage: sbatch $0 INPUT.yaml}
environment=${REDOXMC_ENVIRONMENT:-$PWD/.venv}   # installed without [mpi], so that mpi4py uses the MPI loaded below
# module load python openmpi                     # <-- the modules of your cluster

source "$environment/bin/activate"
srun --kill-on-bad-exit=0 redoxmc "$input"       # the signal goes to the tasks of srun; other ranks end by themselves
code=$?
if [ "$code" -eq 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"             # the same command continues from the last commit
    exit 0
fi
exit "$code"
